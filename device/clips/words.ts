/**
 * Texts that many have, such as the names of skills: each once, by a small number.
 * Promise: a text is kept as long as somebody has it.
 */
export class Words {
  readonly #texts: (string | null)[] = []
  readonly #users: number[] = []
  readonly #numbers = new Map<string | null, number>()
  readonly #vacant: number[] = []

  /** One more has it. @returns its number */
  enter(text: string | null): number {
    const number = this.#numbers.get(text) ?? this.#new(text)
    this.#users[number] = (this.#users[number] ?? 0) + 1
    return number
  }

  /** One more has it, by its number. */
  more(number: number): void {
    this.#users[number] = (this.#users[number] ?? 0) + 1
  }

  text(number: number): string | null {
    return this.#texts[number] ?? null
  }

  /** One less has it. */
  leave(number: number): void {
    const users = (this.#users[number] ?? 0) - 1
    this.#users[number] = users
    if (users > 0) return
    this.#numbers.delete(this.text(number))
    this.#texts[number] = null
    this.#vacant.push(number)
  }

  #new(text: string | null): number {
    const number = this.#vacant.pop() ?? this.#texts.length
    this.#texts[number] = text
    this.#users[number] = 0
    this.#numbers.set(text, number)
    return number
  }
}
