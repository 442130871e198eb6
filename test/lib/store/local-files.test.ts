import { expect } from 'chai'
import type { FileHandle } from 'node:fs/promises'
import { writeFully } from '../../../lib/store/local-files.js'

/** A handle whose system takes at most `most` bytes per call, as a nearly full disk does. */
function stingy(most: number): { handle: FileHandle, written: number[], calls: number } {
  const state = { written: [] as number[], calls: 0, handle: undefined as unknown as FileHandle }
  const take = (chunks: readonly Uint8Array[], position: number): { bytesWritten: number } => {
    const bytes = Buffer.concat(chunks).subarray(0, most)
    state.calls++
    bytes.forEach((byte, i) => { state.written[position + i] = byte })
    return { bytesWritten: bytes.length }
  }
  state.handle = {
    write: (bytes: Uint8Array, offset: number, length: number, position: number) => Promise.resolve(take([bytes.subarray(offset, offset + length)], position)),
    writev: (chunks: readonly Uint8Array[], position: number) => Promise.resolve(take(chunks, position))
  } as unknown as FileHandle
  return state
}

describe('writeFully', () => {
  const chunks = [[1, 2, 3], [], [4], [5, 6, 7, 8]].map(bytes => Uint8Array.from(bytes))

  it('writes every byte once, in order, however little the system takes per call', async () => {
    for (const most of [1, 2, 3, 4, 5, 100]) {
      const file = stingy(most)
      await writeFully(file.handle, chunks, 10)
      expect(file.written.slice(10)).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8])
      expect(file.calls).to.equal(Math.ceil(8 / most))
    }
  })

  it('ends with EIO where the system takes nothing, instead of trying for ever', async () => {
    const outcome = await writeFully(stingy(0).handle, chunks, 0).then(() => 'written', (error: unknown) => (error as { code: string }).code)
    expect(outcome).to.equal('EIO')
  })
})
