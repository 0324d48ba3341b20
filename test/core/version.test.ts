/** The version in the code and the one in package.json. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { version } from '../../core/version.ts'

it('the version is that of package.json', () => {
  const { version: packed } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  expect(version).toBe(packed)
})
