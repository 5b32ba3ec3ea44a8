// DICOM's values as a person reads them.

/** "Muster^Erika^^Dr" → "Muster, Erika (Dr)". */
export function personName(raw: string): string {
  const [family = "", given = "", middle = "", prefix = ""] = (raw.split("=")[0] ?? "").split("^").map((part) => part.trim());
  const first = [given, middle].filter(Boolean).join(" ");
  return [family, first].filter(Boolean).join(", ") + (prefix ? ` (${prefix})` : "") || "no name";
}

/** Whole years at the study's date. */
export function age(birth: string | null, at: string | null): string {
  if (!birth || !at) return "";
  const b = new Date(birth);
  const s = new Date(at);
  let years = s.getUTCFullYear() - b.getUTCFullYear();
  if (s.getUTCMonth() < b.getUTCMonth() || (s.getUTCMonth() === b.getUTCMonth() && s.getUTCDate() < b.getUTCDate())) years -= 1;
  return years >= 0 && years < 130 ? `${years}` : "";
}

export function day(at: string | null): string {
  return at ? at.slice(0, 10) : "";
}

/** "2026-11-28 14:55" in the reader's own time zone: the same everywhere, so that no day is taken for a month. */
export function clock(at: string | null): string {
  if (!at) return "";
  const t = new Date(at);
  if (Number.isNaN(t.getTime())) return "";
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${two(t.getHours())}:${two(t.getMinutes())}`;
}

/** A probability as two digits; certainty is not claimed, so 1 reads 99. */
export function twoDigits(suspicion: number | null): string {
  if (suspicion === null || !Number.isFinite(suspicion)) return "";
  return String(Math.max(0, Math.min(99, Math.round(suspicion * 100)))).padStart(2, "0");
}

/** "57 F"; what is missing is left out. */
export function ageSex(birth: string | null, at: string | null, sex: string): string {
  return [age(birth, at), sex.trim().slice(0, 1).toUpperCase()].filter(Boolean).join(" ");
}

/** Short enough for a column: "11-28 14:55" in this year, else the day; in the reader's own time zone. */
export function moment(at: string | null, now: Date = new Date()): string {
  const told = clock(at);
  return told.startsWith(`${now.getFullYear()}-`) ? told.slice(5) : told.slice(0, 10);
}

/** "running 43 %"; other states as they are. */
export function stateWords(row: { state: string; progress?: number | null }): string {
  if (row.state !== "running") return row.state;
  return row.progress == null ? "running" : `running ${Math.floor(Math.max(0, Math.min(1, row.progress)) * 100)} %`;
}

/** How many findings the reading keeps, once a reader had a word; "" before. What was signed as the AI left it keeps the AI's. */
export function kept(row: { state: string; findings: number | null; reported: number | null }): string {
  const told = row.reported ?? (row.state === "signed" ? row.findings : null);
  return told === null ? "" : String(told);
}
