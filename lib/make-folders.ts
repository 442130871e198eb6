import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/**
 * Create a folder and those above it. Not by `mkdir`'s `recursive`: that never returns where the system says that a folder's parent is
 * missing though it exists, as /proc and some automounters do.
 *
 * @returns the topmost folder that was made; undefined when all were there
 */
export async function makeFolders(path: string, mode = 0o777): Promise<string | undefined> {
  const folder = resolve(path)
  try {
    return await makeFolder(folder, mode)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(folder) === folder) throw error
    const first = await makeFolders(dirname(folder), mode)
    const made = await makeFolder(folder, mode)
    return first ?? made
  }
}

async function makeFolder(folder: string, mode: number): Promise<string | undefined> {
  try {
    await mkdir(folder, { mode })
    return folder
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST'
    const found = await stat(folder).catch((cause: unknown) => {
      // something is there, and why it cannot be looked at is what matters; but for a link to nowhere
      if (exists && (cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
      return undefined
    })
    if (found?.isDirectory() === true) return undefined
    throw error
  }
}
