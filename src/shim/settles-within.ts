/** Whether `task` resolves within `timeoutMs`. Rejects as it does. */
export async function settlesWithin(task: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const timer = Promise.withResolvers<boolean>()
  const handle = setTimeout(() => timer.resolve(false), timeoutMs)
  try {
    return await Promise.race([task.then(() => true), timer.promise])
  } finally {
    clearTimeout(handle)
  }
}
