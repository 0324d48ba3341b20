/**
 * All checkers, in the order of the invariants: where one happening breaks several, the first is named. I15
 * (clips: index and files agree, budget, bytes) is that of the clip cache's own sweep (../clips/i15.ts).
 */
import type { AnyChecker } from './checker.ts'
import { someSlotBoots } from './i01-some-slot-boots.ts'
import { nothingHalfWritten } from './i02-nothing-half-written.ts'
import { noDowngrade } from './i03-no-downgrade.ts'
import { onlyGoodSlot } from './i04-only-good-slot.ts'
import { floorHolds } from './i05-floor.ts'
import { trialEnds } from './i06-trial-ends.ts'
import { fewWrites } from './i07-few-writes.ts'
import { nothingTwice } from './i08-nothing-twice.ts'
import { exactBytes } from './i09-exact-bytes.ts'
import { noSecrets } from './i10-no-secrets.ts'
import { statusNumbers } from './i11-status-numbers.ts'
import { hubForgetsNothing } from './i12-hub-forgets-nothing.ts'
import { comesToRest } from './i13-comes-to-rest.ts'
import { nothingGoesBack } from './i14-nothing-goes-back.ts'
import { onlyOpenOffers } from './i16-only-open-offers.ts'
import { bounded } from './i17-bounded.ts'
import { oneTrueReport } from './i18-one-true-report.ts'

export const allCheckers: readonly AnyChecker[] = [
  someSlotBoots,
  nothingHalfWritten,
  noDowngrade,
  onlyGoodSlot,
  floorHolds,
  trialEnds,
  fewWrites,
  nothingTwice,
  exactBytes,
  noSecrets,
  statusNumbers,
  hubForgetsNothing,
  comesToRest,
  nothingGoesBack,
  onlyOpenOffers,
  bounded,
  oneTrueReport,
]
