/**
 * The agent as one file: the one that came with the npm package, or made here by esbuild from the checkout.
 * Promise: the same program either way; the banner gives bundled CommonJS its `require`, the end of the file
 * holds the licenses of what was bundled.
 * Leaves to others: running it.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { raise } from '../../../../core/errors.ts'
import { licenseComment } from './bundle-licenses.ts'

const shipped = new URL('../../../../agent.mjs', import.meta.url)
const source = new URL('../../../../device/main.ts', import.meta.url)
const banner = "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);"

/** @returns the text of `agent.mjs`. @throws EverbootError EB-TOOL-MISSING without esbuild. */
export async function agentBundle(): Promise<Uint8Array> {
  if (existsSync(shipped)) return readFile(shipped)
  return bundle(fileURLToPath(source))
}

/** @param entry TypeScript or JavaScript module */
export async function bundle(entry: string): Promise<Uint8Array> {
  const { build } = await esbuild()
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    banner: { js: banner },
    legalComments: 'none',
    logLevel: 'silent',
    metafile: true,
  })
  const [file] = result.outputFiles
  if (file === undefined) raise('EB-INTERNAL', `esbuild made nothing of ${entry}`)
  const licenses = await licenseComment(Object.keys(result.metafile.inputs))
  return Buffer.concat([file.contents, Buffer.from(licenses)])
}

async function esbuild(): Promise<typeof import('esbuild')> {
  try {
    return await import('esbuild')
  } catch (cause) {
    raise('EB-TOOL-MISSING', 'esbuild is not installed', { todo: 'run make setup in the checkout', cause })
  }
}
