/** A `PortalSuspended` message. It changes nothing for anybody; whoever parses it says so at once, unless it stands in the middle of another message. */
const PROBE = Buffer.from([0x73, 0, 0, 0, 4])

type DataListener = (chunk: Buffer) => void

/** The socket of a connection. */
interface Wire extends NodeJS.EventEmitter {
  pause(): unknown
  resume(): unknown
}

/** pg's connection, as far as it is used here. */
export interface Connection extends NodeJS.EventEmitter {
  stream: Wire
  query(text: string): void
}

/** A connection's socket, on loan from pg's parser: what arrives comes here instead, and whatever is not for us is handed on. */
export class SocketLoan {
  isPaused = false
  readonly #stream: Wire
  readonly #onData: DataListener
  /** pg's own listeners. */
  readonly #parsers: readonly DataListener[]

  constructor({ stream }: Connection, onData: DataListener) {
    this.#stream = stream
    this.#onData = onData
    this.#parsers = stream.listeners('data') as DataListener[]
  }

  /**
   * Take the socket, if the parser is between two messages: it is sent a `PortalSuspended`, which the client tells its query of at once.
   * Returns false where it is not: half a notice has arrived, and the parser took the probe for its other half. Then cut the connection.
   */
  take(wasTold: () => boolean): boolean {
    this.handOn(PROBE)
    if (!wasTold()) return false
    this.#stream.on('data', this.#onData)
    for (const parse of this.#parsers) this.#stream.removeListener('data', parse)
    return true
  }

  handOn(bytes: Uint8Array): void {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (const parse of this.#parsers) parse.call(this.#stream, buffer)
  }

  /** Give the socket back, and these bytes first. */
  giveBack(rest: Uint8Array): void {
    this.pause(false)
    for (const parse of this.#parsers) this.#stream.on('data', parse)
    this.#stream.removeListener('data', this.#onData)
    this.handOn(rest)
  }

  pause(isPaused: boolean): void {
    if (isPaused === this.isPaused) return
    this.isPaused = isPaused
    if (isPaused) this.#stream.pause()
    else this.#stream.resume()
  }
}
