/**
 * Where planted bugs are looked for, in this order, and what a hunt says.
 */

/** Stories that are played before all others: most bugs show in one of them. */
export const firstStories: readonly string[] = [
  ...[
    'second-update',
    'agentless-update',
    'copy-lost',
    'blob-truncated',
    'connection-reset',
    'captive-portal',
  ],
  ...['counterexample-1', 'counterexample-4', 'counterexample-5', 'counterexample-6', 'counterexample-7'],
  ...[
    'cut-after-the-stamp',
    'fallback-read-fails',
    'flush-fails',
    'hub-dies-before-its-commit',
    'not-found',
    'short-reads',
  ],
  ...['quick-cycles-after-a-hang', 'record-and-stamp-lost', 'same-wish-over-a-rotten-spare'],
  ...['same-wish-over-a-rotten-tree', 'versions-nine-and-ten'],
]

/** Pieces in the images of stories that are played without cuts. */
export const rehearsedPieces = 8

/** Stories that are swept, small. */
export const huntedStories = [
  { name: 'update', pieces: 5, sectorBytes: 4096 },
  { name: 'slow-update', pieces: 10, sectorBytes: 4096 },
  { name: 'second-update', pieces: 5, sectorBytes: 4096 },
  { name: 'sick-update', pieces: 4, sectorBytes: 4096 },
  { name: 'hanging-update', pieces: 4, sectorBytes: 512 },
  { name: 'return-in-place', pieces: 4, sectorBytes: 4096 },
] as const

/** Stories that are played on a board which is started by tryboot, and the one that is swept there. */
export const trybootStories: readonly string[] = ['update', 'hanging-update', 'sick-update', 'record-lost']
export const trybootSweep = { name: 'update', pieces: 4 } as const

/** Seeds of the swarm that are played when no story shows it. */
export const huntedSeeds = 150

export interface Hunted {
  /** The first invariant by name that did not hold. */
  readonly caught: { readonly invariant: string; readonly what: string; readonly replay: string } | null
  readonly rehearsals: number
  readonly states: number
  readonly seeds: number
}
