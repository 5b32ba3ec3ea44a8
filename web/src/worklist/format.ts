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

export function clock(at: string | null): string {
  return at ? new Date(at).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" }) : "";
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
  if (!at) return "";
  const t = new Date(at);
  if (Number.isNaN(t.getTime())) return "";
  const two = (n: number): string => String(n).padStart(2, "0");
  const monthDay = `${two(t.getMonth() + 1)}-${two(t.getDate())}`;
  return t.getFullYear() === now.getFullYear() ? `${monthDay} ${two(t.getHours())}:${two(t.getMinutes())}` : `${t.getFullYear()}-${monthDay}`;
}

/** "running 43 % segment"; other states as they are. */
export function stateWords(row: { state: string; progress?: number | null; stage: string }): string {
  if (row.state !== "running") return row.state;
  const percent = row.progress == null ? "" : `${Math.floor(Math.max(0, Math.min(1, row.progress)) * 100)} %`;
  return ["running", percent, row.stage].filter(Boolean).join(" ");
}
