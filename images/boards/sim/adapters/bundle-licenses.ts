/**
 * The licenses of the packages that esbuild put into a bundle, to be carried along in it.
 * Promise: a package without a license file is named with the license it declares; none is left out.
 * Leaves to others: making the bundle (agent-bundle.ts).
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * @param inputs paths of the bundled files, as esbuild's metafile lists them
 * @returns one comment, sorted by package
 */
export async function licenseComment(inputs: readonly string[]): Promise<string> {
  const folders = new Set(
    inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []),
  )
  const notices = await Promise.all([...folders].sort().map(noticeOf))
  const text = notices.join('\n\n').replaceAll('*/', '* /')
  return `\n/*! This file contains the following packages.\n\n${text}\n*/\n`
}

async function noticeOf(folder: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const file = (await readdir(folder)).find((it) => /^licen[cs]e/i.test(it))
  const text = file === undefined ? `License: ${license}` : await readFile(join(folder, file), 'utf8')
  return `${name} ${version}\n${text.trim()}`
}
