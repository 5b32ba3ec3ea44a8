// Choosing from a list by a few letters.

/** Choices that have every word of what was typed at the beginning of one of theirs, name or words, the best first. */
export function matching(choices: readonly [string, string][], typed: string): [string, string][] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const starts = (label: string, word: string): boolean => label.toLowerCase().split(/[\s_/-]+/).some((one) => one.startsWith(word));
  const found = choices.filter((one) => words.every((word) => starts(one.join(" "), word)));
  const first = words.join(" ");
  return found.sort((a, b) => Number(b[1].toLowerCase().startsWith(first)) - Number(a[1].toLowerCase().startsWith(first)));
}
