/**
 * One byte range of a file on a server, checked to be just that.
 * Promise: hands out exactly the bytes asked for or a coded failure: a 200 is not taken for a 206, another
 * range, size or entity tag is refused, a body that ends early or drips is given up.
 * Leaves to others: trying again (fetcher.ts) and whether the bytes are right (the hash of each piece).
 */
import { fault } from '../../core/errors.ts'
import { downloadLimits } from '../../core/limits.ts'
import type { Clock, Fetch, FetchResponse } from '../../core/ports.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { fromPort, refused, type TransferFault, transferFault } from './transfer-fault.ts'

export interface RangeRequest {
  readonly url: string
  readonly start: number
  readonly endExclusive: number
  /** Length of the whole file as signed. */
  readonly fileBytes: number
  /** Strong entity tag seen before in this download, or null. */
  readonly etag: string | null
}

/** The body of one range. */
export interface RangeBody {
  readonly etag: string | null
  /** The next bytes, null when all have come. */
  read(): Promise<Result<Uint8Array | null, TransferFault>>
  cancel(): void
}

/**
 * @param cancelled ends the transfer at once when it is aborted
 * @returns the body, or why there is none
 */
export async function fetchRange(
  request: RangeRequest,
  fetch: Fetch,
  clock: Clock,
  cancelled: AbortSignal,
): Promise<Result<RangeBody, TransferFault>> {
  let response: FetchResponse
  try {
    response = await fetch.get({
      url: request.url,
      range: {
        start: request.start,
        endExclusive: request.endExclusive,
        ...(request.etag === null ? {} : { ifRange: request.etag }),
      },
    })
  } catch (caught) {
    return fail(fromPort(caught))
  }
  const wrong = wrongAnswer(request, response)
  if (wrong !== null) {
    response.cancel()
    return fail(wrong)
  }
  return ok(bodyOf(request, response, clock, cancelled))
}

function wrongAnswer(request: RangeRequest, response: FetchResponse): TransferFault | null {
  const { status, contentRange } = response
  const etag = strongTag(response.etag)
  const { url, start, endExclusive, fileBytes } = request
  if (status === 206) {
    const same =
      contentRange !== null &&
      contentRange.start === start &&
      contentRange.endExclusive === endExclusive &&
      contentRange.size === fileBytes
    if (!same) {
      const got =
        contentRange === null
          ? 'none'
          : `${contentRange.start}-${contentRange.endExclusive - 1}/${contentRange.size}`
      const wanted = `${start}-${endExclusive - 1}/${fileBytes}`
      return transferFault('bytes', fault('EB-RANGE', `${url} sent range ${got}, asked for ${wanted}`))
    }
    if (request.etag !== null && etag !== request.etag) {
      return transferFault('bytes', fault('EB-CHANGED', `${url} has tag ${etag}, had ${request.etag}`))
    }
    return null
  }
  if (status === 200) {
    const changed = request.etag !== null && etag !== null && etag !== request.etag
    return changed
      ? transferFault('bytes', fault('EB-CHANGED', `${url} has tag ${etag}, had ${request.etag}`))
      : transferFault('bytes', fault('EB-RANGE', `${url} sent the whole file for a range`))
  }
  return refused(url, response)
}

/** Only a strong tag says that two ranges are of one file (RFC 9110, section 13.1.5). */
function strongTag(etag: string | null): string | null {
  return etag === null || etag.startsWith('W/') ? null : etag
}

function bodyOf(
  request: RangeRequest,
  response: FetchResponse,
  clock: Clock,
  cancelled: AbortSignal,
): RangeBody {
  const wanted = request.endExclusive - request.start
  const giveUp = (): void => response.cancel()
  const guard = slowGuard(clock, giveUp)
  cancelled.addEventListener('abort', giveUp)
  let received = 0
  const letGo = (): void => {
    guard.stop()
    cancelled.removeEventListener('abort', giveUp)
  }
  const end = (failure: TransferFault): Result<never, TransferFault> => {
    letGo()
    response.cancel()
    return fail(failure)
  }
  return {
    etag: strongTag(response.etag),
    async read() {
      let part: Uint8Array | null
      try {
        part = await response.read()
      } catch (caught) {
        return end(guard.tripped() ?? fromPort(caught))
      }
      if (part === null) {
        const slow = guard.tripped()
        if (slow !== null) return end(slow)
        if (received === wanted) {
          letGo()
          return ok(null)
        }
        const what = `${request.url} ended after ${received} of ${wanted} bytes`
        return end(transferFault('network', fault('EB-HUB-UNREACHABLE', what)))
      }
      received += part.length
      guard.took(part.length)
      if (received > wanted) {
        const what = `${request.url} sent more than the ${wanted} bytes asked for`
        return end(transferFault('bytes', fault('EB-ENDLESS', what)))
      }
      return ok(part)
    },
    cancel() {
      letGo()
      response.cancel()
    },
  }
}

/** Cuts a transfer that stays below the least rate over a whole window. */
function slowGuard(clock: Clock, cut: () => void) {
  const windowMs = downloadLimits.slowWindowMs
  const needed = (downloadLimits.slowBytesPerSecond * windowMs) / 1000
  let inWindow = 0
  let trip: TransferFault | null = null
  const check = (): void => {
    if (inWindow >= needed) {
      inWindow = 0
      cancel = clock.timer(windowMs, check)
      return
    }
    const what = `${inWindow} bytes in ${windowMs / 1000} s, at least ${needed} are expected`
    trip = transferFault('network', fault('EB-SLOW', what))
    cut()
  }
  let cancel = clock.timer(windowMs, check)
  return {
    took(bytes: number): void {
      inWindow += bytes
    },
    tripped: (): TransferFault | null => trip,
    stop: (): void => cancel(),
  }
}
