/**
 * The parts that a world is made with when it does not matter: the real verifiers and codec, a real turn.
 */
import { verifyNoble } from '../../bootloader-sim/verify-noble.ts'
import { KiB } from '../../core/units.ts'
import { inlineCodec } from '../../device/adapters/codec.ts'
import { openPiece } from '../../images/release/piece.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { arena } from '../arena.ts'
import { rememberingCodec, rememberingVerify } from '../memo.ts'
import type { Publisher } from '../publisher.ts'
import type { WorldParts } from '../world.ts'
import { newTurn } from './turn.ts'

export function realParts(publisher: Publisher): WorldParts {
  return {
    turn: newTurn(),
    publisher,
    codec: inlineCodec,
    bootVerify: verifyNoble,
    agentVerify: verifyEd25519,
  }
}

/** For the same work, world after world, tens of thousands of times: what was verified before is remembered. */
export function rememberingParts(publisher: Publisher): WorldParts {
  return {
    turn: newTurn(),
    publisher,
    codec: rememberingCodec(openPiece),
    bootVerify: rememberingVerify(verifyNoble),
    agentVerify: rememberingVerify(verifyEd25519),
  }
}

/** For sweeps: whole pieces at a time, and one memory for one world after another. */
export function sweepParts(publisher: Publisher): WorldParts {
  return { ...rememberingParts(publisher), partBytes: 64 * KiB, arena: arena() }
}
