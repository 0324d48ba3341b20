/**
 * A planted bug: data that says which lines of which files become wrong, and how that must come to light.
 * Promise: an edit hits one place and no other; what cannot be planted is refused, never left out silently.
 * Leaves to others: the bugs (the other files of this folder), planting them in a process (../planting.ts).
 */

export interface Edit {
  /** Path from the root of the project. */
  readonly file: string
  /** Occurs exactly once in the file. */
  readonly find: string
  readonly replace: string
}

export interface Plant {
  /** As in the list of planted bugs. */
  readonly name: string
  /**
   * Which list: that of the faults, that of the boot protocol, that of what the proof has found in Everboot itself, or
   * that of boards which are started by tryboot.
   */
  readonly from: 'faults' | 'boot' | 'found' | 'tryboot'
  readonly edits: readonly Edit[]
  /** In which story, by which crash or fault and when it shows. */
  readonly how: string
}

/** The files that a plant changes, each once. */
export function filesOf({ edits }: Plant): readonly string[] {
  return [...new Set(edits.map((it) => it.file))]
}

/** @returns `text` of `file` with all edits of the plant. @throws Error when one of them does not hit exactly one place */
export function planted(plant: Plant, file: string, text: string): string {
  let changed = text
  for (const { find, replace } of plant.edits.filter((it) => it.file === file)) {
    const hits = changed.split(find).length - 1
    if (hits !== 1 || find === replace) {
      throw new Error(
        `planted bug "${plant.name}": ${hits} places in ${file}, not 1, hold ${JSON.stringify(find)}`,
      )
    }
    changed = changed.replace(find, () => replace)
  }
  return changed
}
