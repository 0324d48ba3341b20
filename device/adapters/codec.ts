/**
 * Opens pieces in the agent's own thread. A worker costs 18 MB of memory and gains a fifth of the speed.
 */
import type { PieceCodec } from '../../core/ports.ts'
import { openPiece } from '../../images/release/piece.ts'

export const inlineCodec: PieceCodec = { open: async (task) => openPiece(task) }
