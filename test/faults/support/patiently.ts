import { isTransient } from '../../../lib/errors.js'

/** Again while a server is away. */
export async function patiently<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!isTransient(error)) throw error
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}
