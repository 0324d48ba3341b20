/** Scripts: what is looked for where, and what is sent when. */
import { describe, expect, it } from 'vitest'
import { parseSteps, type ScriptRun, scriptRun } from '../../console/script.ts'
import { faultOf } from '../../core/errors.ts'

const steps = (...words: readonly string[]) =>
  parseSteps(
    words.map((it) => ({ name: it.startsWith('>') ? 'send' : 'expect', value: it.replace(/^>/, '') })),
  )

function fed(run: ScriptRun, ...lines: readonly string[]): readonly string[] {
  return lines.flatMap((it) => run.whole(it).seen.map((hit) => hit.pattern))
}

describe('a script', () => {
  it('sees its patterns in order only', () => {
    const run = scriptRun(steps('second', 'first'))
    expect(fed(run, 'first', 'second')).toEqual(['second'])
    expect(run.waitingFor()).toBe('first')
    expect(fed(run, 'first again')).toEqual(['first'])
    expect(run.waitingFor()).toBeNull()
  })

  it('goes on in the same line behind what was matched', () => {
    expect(fed(scriptRun(steps('a', 'a', 'b')), 'a b')).toEqual(['a'])
    expect(fed(scriptRun(steps('a', 'a', 'b')), 'a a b')).toEqual(['a', 'a', 'b'])
  })

  it('sends at once what comes first, and the rest once everything before it was seen', () => {
    const run = scriptRun(steps('>x', 'prompt', '>one', '>two', 'done', '>bye'))
    expect(run.start().send).toEqual([Buffer.from('x')])
    expect(run.start().send).toEqual([])
    expect(run.whole('nothing').send).toEqual([])
    expect(run.whole('the prompt').send).toEqual([Buffer.from('one'), Buffer.from('two')])
    expect(run.whole('done').send).toEqual([Buffer.from('bye')])
    expect(run.waitingFor()).toBeNull()
  })

  it('sees a prompt once, though its line goes on', () => {
    const run = scriptRun(steps('=> $', '>version\\r', '=>'))
    expect(run.partial('=> ').send).toEqual([Buffer.from('version\r')])
    expect(run.partial('=> version').seen).toEqual([])
    expect(run.whole('=> version').seen).toEqual([])
    expect(run.partial('=> ').seen).toHaveLength(1)
  })

  it('sees an empty line when asked for one, but not the rest of a line that was matched whole', () => {
    expect(fed(scriptRun(steps('^$')), '')).toEqual(['^$'])
    expect(fed(scriptRun(steps('all', '^$')), 'all')).toEqual(['all'])
    expect(scriptRun(steps('.*')).partial('').seen).toEqual([])
  })

  it.each([
    ['a\\r\\n\\t\\e\\\\', 'a\r\n\t\x1b\\'],
    ['ü', 'ü'],
  ])('sends %j as %j', (text, sent) => {
    expect(scriptRun(steps(`>${text}`)).start().send).toEqual([Buffer.from(sent)])
  })

  it('sends \\xHH as one byte', () => {
    expect(scriptRun(steps('>\\x03\\xff')).start().send).toEqual([Buffer.from([3, 255])])
  })

  it.each(['(', '[z-a]', '>\\q', '>\\x1', '>end\\'])('refuses %j', (word) => {
    const caught = (() => {
      try {
        return steps(word)
      } catch (error) {
        return error
      }
    })()
    expect(faultOf(caught).code).toBe('EB-USAGE')
  })

  it('refuses more steps than anybody needs', () => {
    expect(() => steps(...Array.from({ length: 257 }, () => 'a'))).toThrow('EB-USAGE')
  })
})
