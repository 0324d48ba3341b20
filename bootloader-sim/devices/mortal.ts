/**
 * Ports that end with the object graph that holds them.
 * Promise: once `alive` is false, no call and no pending answer of the port settles, and no callback given to
 * it is called: a dead program can do nothing.
 */
import type { Link } from '../../core/ports.ts'

export function never<T>(): Promise<T> {
  return new Promise<T>(() => {})
}

/** The port as the graph sees it. */
export function mortal<T extends object>(port: T, alive: () => boolean): T {
  const methods = new Map<string | symbol, { readonly of: unknown; readonly method: unknown }>()
  return new Proxy(port, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver)
      if (typeof value !== 'function') return value
      const known = methods.get(name)
      if (known?.of === value) return known.method
      const method = mortalMethod(value as (...args: unknown[]) => unknown, target, alive)
      methods.set(name, { of: value, method })
      return method
    },
  })
}

function mortalMethod(method: (...args: unknown[]) => unknown, target: object, alive: () => boolean) {
  const passOn = (it: unknown): unknown => (alive() ? inner(it, alive) : never())
  const fail = (caught: unknown): Promise<never> => {
    if (alive()) throw caught
    return never()
  }
  return (...args: unknown[]): unknown => {
    if (!alive()) return never()
    for (let index = 0; index < args.length; index += 1) args[index] = callbacks(args[index], alive)
    const result = Reflect.apply(method, target, args)
    return result instanceof Promise ? result.then(passOn, fail) : result
  }
}

/** Devices and responses that a port hands out are ports themselves. */
function inner(value: unknown, alive: () => boolean): unknown {
  const isPort = typeof value === 'object' && value !== null && ('read' in value || 'flush' in value)
  return isPort && !(value instanceof Uint8Array) ? mortal(value, alive) : value
}

/** Functions, and objects of functions such as listeners. */
function callbacks(value: unknown, alive: () => boolean): unknown {
  if (typeof value === 'function') {
    return (...args: unknown[]) => (alive() ? Reflect.apply(value, undefined, args) : undefined)
  }
  if (typeof value !== 'object' || value === null || !('up' in value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, it]) => [name, callbacks(it, alive)]))
}

/** A link over which nothing is ever heard. */
export const silent: Link = {
  open: () => {},
  publish: () => Promise.reject(new Error('silent')),
  subscribe: () => Promise.reject(new Error('silent')),
  close: async () => {},
}
