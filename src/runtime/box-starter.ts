import { existsSync } from 'node:fs'
import type { Session } from '../guest/session.ts'
import type { Image } from '../image/images.ts'
import type { MainProcess } from '../shim/launch.ts'
import type { BoxConnection, BoxContext } from './box-connection.ts'
import { boxImage } from './box-image.ts'
import { mainRequest, stopSignalOf } from './main-process.ts'
import type { StartOptions } from './options.ts'
import type { Starting } from './start-box.ts'

/** Starts one box as its configuration and its image say. */
export class BoxStarter {
  readonly #context: BoxContext
  readonly #connection: BoxConnection
  #image: Image | undefined

  constructor(context: BoxContext, connection: BoxConnection) {
    this.#context = context
    this.#connection = connection
  }

  /** The box's image, pulled and prepared now if need be. */
  async image(options: StartOptions = {}): Promise<Image> {
    // A file that was removed by hand is made again.
    if (this.#image !== undefined && existsSync(this.#image.path)) return this.#image
    this.#context.checkOpen()
    this.#image = await boxImage(this.#context, this.#connection.place, options)
    return this.#image
  }

  /** A session with the box, which is started unless it runs. With `waitForAttach`, its main process begins when somebody reads it. */
  async start(
    options: Omit<Starting, 'image' | 'main'>,
    { waitForAttach = false }: { readonly waitForAttach?: boolean } = {},
  ): Promise<Session> {
    const { config } = this.#connection.place
    const image = await this.image(options)
    const request = mainRequest(config, image)
    const main: MainProcess | undefined =
      request === undefined ? undefined : { request, waitForAttach, stopSignal: stopSignalOf(config, image) }
    return this.#connection.connect({ ...options, image, main })
  }
}
