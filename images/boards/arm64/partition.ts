/** Where a partition lies on a disk. */

export const sectorBytes = 512

export interface Partition {
  /** As Linux counts. */
  readonly number: number
  readonly offset: number
  readonly bytes: number
}
