import { useEffect, useState, type ReactElement } from "react";
import type { Schemas } from "../api/client";
import { useLoaded } from "../api/loaded";
import { Problem } from "../app/Dialog";

type Entry = Schemas["AuditOut"];
type Action = Schemas["Action"];
const PAGE = 500;
const WAIT_MS = 300;
// the type keeps it whole: an action that the server knows and this list does not is an error
const ACTIONS = Object.keys({
  login: 0, "login refused": 0, logout: 0, "password changed": 0, "account changed": 0, "token made": 0, "token removed": 0, "access changed": 0,
  "node changed": 0, received: 0, analysed: 0, view: 0, edit: 0, sign: 0, addendum: 0, export: 0, sent: 0, queued: 0, deleted: 0, backup: 0, restored: 0,
} satisfies Record<Action, 0>) as Action[];

export interface Filter {
  action: Action | "";
  user: string;
  study: string;
}

/** Where a page of the log is asked for; what is empty asks for all. */
export function pathOf({ action, user, study }: Filter, before?: number): string {
  const asked = new URLSearchParams({ limit: String(PAGE) });
  if (before) asked.set("before", String(before));
  if (action) asked.set("action", action);
  if (user.trim()) asked.set("user", user.trim());
  if (study.trim()) asked.set("study", study.trim());
  return `/api/audit?${asked}`;
}

export const detail = (entry: Entry): string =>
  Object.entries(entry.detail).map(([key, value]) => `${key}: ${typeof value === "object" ? JSON.stringify(value) : String(value)}`).join(" · ");

export function Audit(): ReactElement {
  const [filter, setFilter] = useState<Filter>({ action: "", user: "", study: "" });
  const [typed, setTyped] = useState(filter);
  // the first of each page that was turned, so that one can go back
  const [turned, setTurned] = useState<number[]>([]);
  const { data, problem, reload } = useLoaded<Entry[]>(pathOf(filter, turned.at(-1)));
  const last = data?.at(-1)?.seq;
  const narrowed = Object.values(filter).some(Boolean);
  useEffect(() => {
    if (typed === filter) return;
    const timer = setTimeout(() => {
      setTurned([]);
      setFilter(typed);
    }, WAIT_MS);
    return () => clearTimeout(timer);
  }, [typed, filter]);
  return (
    <div className="stack">
      <div className="line">
        <select data-testid="audit-action" aria-label="Action" value={typed.action} onChange={(event) => setTyped({ ...typed, action: event.target.value as Filter["action"] })}>
          <option value="">every action</option>
          {ACTIONS.map((action) => <option key={action}>{action}</option>)}
        </select>
        <input data-testid="audit-user" aria-label="Account" placeholder="Account" maxLength={64} value={typed.user} onChange={(event) => setTyped({ ...typed, user: event.target.value })} />
        <input data-testid="audit-study" aria-label="Study" placeholder="Study: click one below" size={36} value={typed.study} onChange={(event) => setTyped({ ...typed, study: event.target.value })} />
        <span className="spread" />
        <span className="dim">{data ? `${data.length} lines, newest first` : ""}</span>
        <button disabled={!turned.length} onClick={() => setTurned(turned.slice(0, -1))}>Newer</button>
        <button disabled={!data || data.length < PAGE || !last} onClick={() => last && setTurned([...turned, last])}>Older</button>
        <button onClick={reload}>Refresh</button>
      </div>
      <Problem words={problem} retry={reload} />
      {!data && !problem && <p className="dim">Loading…</p>}
      {data && !data.length && <p className="dim">{narrowed ? "No line meets the filter." : "Nothing is written down yet."}</p>}
      {data && data.length > 0 && (
        <table className="wide" aria-label="Audit log">
          <thead><tr><th className="right">No.</th><th>At</th><th>Account</th><th>Action</th><th>Study</th><th>Detail</th></tr></thead>
          <tbody>
            {data.map((entry) => (
              <tr key={entry.seq} title={`hash ${entry.hash}`}>
                <td className="right dim">{entry.seq}</td>
                <td>{new Date(entry.at).toLocaleString()}</td>
                <td>{entry.user ?? <span className="dim">nobody</span>}</td>
                <td>{entry.action}</td>
                <td>{entry.study_id && <Study id={entry.study_id} choose={(study) => setTyped({ ...typed, study })} />}</td>
                <td>{detail(entry)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

function Study({ id, choose }: { id: string; choose: (id: string) => void }): ReactElement {
  return <button className="plain" title={`Only lines of study ${id}`} onClick={() => choose(id)}>{id.slice(0, 8)}</button>;
}
