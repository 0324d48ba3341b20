/**
 * Between what the hub says and the rows of its tables.
 * Promise: evidence, which may be large, is taken out of a status and kept in a row of its own.
 * Leaves to others: SQL (adapters) and how long rows are kept.
 */
import type { Evidence, Status } from '../../core/wire/messages.ts'
import type { EvidenceRecord } from '../core/model.ts'

export interface EvidenceRow extends Omit<EvidenceRecord, 'atMs' | 'bootId' | 'seq'> {
  readonly kind: 'report' | 'notice'
}

/** @returns the status without evidence, and the evidence. */
export function splitStatus(status: Status): {
  readonly body: Status
  readonly evidences: readonly EvidenceRow[]
} {
  const { report, notice, ...rest } = status
  const evidences: EvidenceRow[] = []
  const body: { -readonly [Key in keyof Status]: Status[Key] } = rest
  if (report !== undefined) {
    const { evidence, ...clear } = report
    body.report = clear
    const row = {
      kind: 'report',
      code: report.code ?? null,
      what: report.what ?? null,
      attempt: report.seq,
    } as const
    if (hasContent(evidence)) evidences.push({ ...row, evidence })
  }
  if (notice !== undefined) {
    const { evidence, ...clear } = notice
    body.notice = clear
    const row = { kind: 'notice', code: notice.code, what: notice.what, attempt: null } as const
    if (hasContent(evidence)) evidences.push({ ...row, evidence })
  }
  return { body, evidences }
}

function hasContent(evidence: Evidence | undefined): evidence is Evidence {
  return evidence !== undefined && Object.values(evidence).some((it) => it !== undefined)
}
