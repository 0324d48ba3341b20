/**
 * All planted bugs, the lists of names that they must cover, and what is not planted yet.
 * Leaves to others: the bugs (plants/), planting one (plant.ts), catching it (the everyday run of the proof).
 */
import { clipPlants } from './plants/clips.ts'
import { downloadPlants } from './plants/download.ts'
import { floorPlants } from './plants/floor.ts'
import { foundPlants } from './plants/found.ts'
import { hubPlants } from './plants/hub.ts'
import { journalPlants } from './plants/journal.ts'
import { orderPlants } from './plants/order.ts'
import type { Plant } from './plants/planted.ts'
import { recordPlants } from './plants/record.ts'
import { trialPlants } from './plants/trial.ts'
import { trybootPlants } from './plants/tryboot.ts'

export const plants: readonly Plant[] = [
  ...orderPlants,
  ...recordPlants,
  ...trialPlants,
  ...floorPlants,
  ...downloadPlants,
  ...journalPlants,
  ...hubPlants,
  ...foundPlants,
  ...trybootPlants,
  ...clipPlants,
]

/** @throws Error when there is no planted bug of this name */
export function plantNamed(name: string): Plant {
  const found = plants.find((it) => it.name === name)
  if (found === undefined) throw new Error(`there is no planted bug ${JSON.stringify(name)}`)
  return found
}

/** The bugs that must be planted, by list, as they are named there. */
export const listed: Readonly<Record<Plant['from'], readonly string[]>> = {
  faults: [
    'wipe the seal before clearing the record',
    'skip the slot flush',
    'skip the record flush',
    'swap record and slot order',
    'journal before flush',
    'no directory sync',
    'overwrite the newer record copy',
    'single record copy',
    'clear tries before commit',
    'commit before health',
    'seal before read-back',
    'keep the old seal while writing',
    'trust the journal past its flush',
    'accept a short read',
    'compare versions with `<` on strings',
    'raise the floor at first boot',
    'retry without limit on 404',
    'treat a 200 as a 206',
    'forget to re-hash reused blocks',
    'report success before the trial boot',
    'outbox removed on PUBACK instead of app ack',
    "delta encrypted under the full blob's key",
    'a finished attempt is started again',
    'journal believed over the running slot',
    'evict without removing the file',
    'two clips share a file and the first invalidation deletes it',
  ],
  boot: [
    're-arm only the committed slot',
    'priority left on an exhausted trial',
    'sv kept while writing',
    'un-ok spare left selectable',
    'own slot not re-read before wiping a spare',
    'floor raised before the stamp',
    'outcome taken from the journal',
    'roll back from a slot that is not on trial',
    'final floor in one copy only',
  ],
  found: [
    'believe a seal that was not flushed',
    'leave a withdrawal in one copy',
    'hash trees are not re-read',
    'believe a spare whose flush failed',
    'a read that fails once counts as damage',
    'believe an index that no sync has reached',
    'a file goes before the index has forgotten it',
  ],
  tryboot: [
    'autoboot written before the record',
    'trial handed over without a try',
    'autoboot not derived anew at the start',
    'one-shot flag forgotten when a trial is handed over again',
  ],
}

/** Listed, but there is no code yet that could have the bug; name and reason. */
export const notYet: Readonly<Record<string, string>> = {
  "delta encrypted under the full blob's key": 'releases have no delta blobs',
}
