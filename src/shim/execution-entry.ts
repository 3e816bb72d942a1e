import { type Frame, ProtocolError, rewriteStream } from '../guest/frame.ts'
import { parseCredit } from '../guest/parse.ts'
import { channels, flags, frameTypes } from '../guest/protocol.ts'
import type { ClientLink } from './client-link.ts'
import { Window } from './flow.ts'

/** One execution as it passes through the shim: whose it is, and what each side may still send. */
export class ExecutionEntry {
  readonly agentStream: number
  readonly clientStream: number
  /** Undefined once the client is gone; what the guest still says is then dropped. */
  client: ClientLink | undefined
  readonly #windows = {
    [channels.stdin]: new Window(),
    [channels.stdout]: new Window(),
    [channels.stderr]: new Window(),
  }
  #exited = false
  #stdoutEnded = false
  #stderrEnded = false

  constructor(agentStream: number, client: ClientLink, clientStream: number) {
    this.agentStream = agentStream
    this.client = client
    this.clientStream = clientStream
  }

  /** True when the guest has said all it will say, and the stream id is free. */
  get isFinished(): boolean {
    return this.#exited && this.#stdoutEnded && this.#stderrEnded
  }

  /** Takes a frame of the guest and passes it on. Throws `ProtocolError` when it comes out of turn. */
  fromAgent(frame: Frame): void {
    if (this.isFinished) throw new ProtocolError('a frame on a finished stream')
    switch (frame.type) {
      case frameTypes.stdout:
        if (this.#stdoutEnded) throw new ProtocolError('standard output after its end')
        this.#windows[channels.stdout].spend(frame.payload.length)
        this.#stdoutEnded = (frame.flags & flags.end) !== 0
        break
      case frameTypes.stderr:
        if (this.#stderrEnded) throw new ProtocolError('standard error after its end')
        this.#windows[channels.stderr].spend(frame.payload.length)
        this.#stderrEnded = (frame.flags & flags.end) !== 0
        break
      case frameTypes.credit:
        if (frame.flags !== channels.stdin)
          throw new ProtocolError('credit for a channel the guest does not read')
        this.#windows[channels.stdin].grant(parseCredit(frame.payload))
        break
      case frameTypes.exited:
        if (this.#exited) throw new ProtocolError('a second exit')
        this.#exited = true
        break
      case frameTypes.execFailed:
        this.#exited = this.#stdoutEnded = this.#stderrEnded = true
        break
      case frameTypes.started:
      case frameTypes.stdinFailed:
        break
      default:
        throw new ProtocolError(`a frame of type ${frame.type} from the guest`)
    }
    this.client?.send(rewriteStream(frame.raw, this.clientStream))
  }

  /** Checks a frame of the client and gives it in the form for the agent. Throws `ProtocolError` as above. */
  fromClient(frame: Frame): Buffer {
    switch (frame.type) {
      case frameTypes.stdin:
        this.#windows[channels.stdin].spend(frame.payload.length)
        break
      case frameTypes.credit:
        if (frame.flags !== channels.stdout && frame.flags !== channels.stderr)
          throw new ProtocolError('credit for a channel the client does not read')
        this.#windows[frame.flags].grant(parseCredit(frame.payload))
        break
      case frameTypes.signal:
      case frameTypes.resize:
      case frameTypes.discard:
        break
      default:
        throw new ProtocolError(`a frame of type ${frame.type} from a client`)
    }
    return rewriteStream(frame.raw, this.agentStream)
  }
}
