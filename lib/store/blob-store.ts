/**
 * Where a table's immutable files live. A folder holds one table's files; names are plain file names.
 *
 * An implementer must make a blob visible under its name only once all of it is durable, never change a committed blob,
 * follow no links, and report trouble by errors with the system's `code` (`ENOSPC`, `EACCES` …).
 */
export interface BlobStore {
  /** Start a blob; nothing is visible until `commit`. */
  create(folder: string): Promise<BlobWriter>
  /** Open a committed blob for range reads. Readers of one blob may share what is behind them. */
  open(folder: string, name: string): Promise<BlobReader>
  /** What is stored under a name, or undefined. */
  head(folder: string, name: string): Promise<BlobInfo | undefined>
  /** Everything in a folder, leftovers of crashed writers included; empty when there is no such folder. */
  list(folder: string): Promise<BlobInfo[]>
  /** Remove a blob; fine if it is gone already. */
  delete(folder: string, name: string): Promise<void>
  /** Set a damaged blob aside under another name, which is returned. */
  quarantine(folder: string, name: string): Promise<string>
  /** How a blob is named in messages. */
  pathOf(folder: string, name: string): string
  /** Release everything that is open. */
  close(): Promise<void>
}

/** A blob being written. One call at a time. */
export interface BlobWriter {
  /** Append the chunks, in order; resolves when their bytes may be reused. */
  write(chunks: readonly Uint8Array[]): Promise<void>
  /** Make the blob durable and visible under `name`, and keep it marked as in use. */
  commit(name: string): Promise<void>
  /** A manifest names the blob now: it needs its writer's protection no more. Never throws. */
  release(): Promise<void>
  /** Drop what was written, a committed blob included. Never throws. */
  abort(): Promise<void>
}

/** An open blob. */
export interface BlobReader {
  readonly bytes: number
  /** Changes when the blob is replaced or altered; equal means what was verified once still holds. */
  readonly identity: string
  /**
   * Exactly `length` bytes from `offset` on, in a buffer of their own that starts 8-byte aligned; or in the first bytes of `into`,
   * if that is given (it is long enough) and the implementer can.
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>
  close(): Promise<void>
}

/** What a list of blobs says of one. */
export interface BlobInfo {
  name: string
  bytes: number
  modifiedMs: number
  /** A live writer has not released or dropped it yet: no garbage, however old (a process may sleep). */
  inUse?: boolean
}
