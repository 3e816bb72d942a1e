/** Starts a box and waits to be killed: `box.fixture.ts HOME NAME`. */
import { Runtime } from '../../src/index.ts'

const [home = '', name = ''] = process.argv.slice(2)
const runtime = await Runtime.open({ home })
await (await runtime.get(name)).start()
setInterval(() => {}, 1000)
