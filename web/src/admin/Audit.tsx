import { useState, type ReactElement } from "react";
import type { Schemas } from "../api/client";
import { useLoaded } from "../api/loaded";
import { Problem } from "../app/Dialog";

type Entry = Schemas["AuditOut"];
const PAGE = 500;

/** True where every word is somewhere in the line. */
export function meets(entry: Entry, wanted: string): boolean {
  const line = [entry.seq, entry.at, entry.user ?? "", entry.action, entry.study_id ?? "", detail(entry)].join(" ").toLowerCase();
  return wanted.toLowerCase().split(/\s+/).every((word) => line.includes(word));
}

export const detail = (entry: Entry): string =>
  Object.entries(entry.detail).map(([key, value]) => `${key}: ${typeof value === "object" ? JSON.stringify(value) : String(value)}`).join(" · ");

export function Audit(): ReactElement {
  // the first of each page that was turned, so that one can go back
  const [turned, setTurned] = useState<number[]>([]);
  const before = turned.at(-1);
  const { data, problem, reload } = useLoaded<Entry[]>(`/api/audit?limit=${PAGE}${before ? `&before=${before}` : ""}`);
  const [wanted, setWanted] = useState("");
  const rows = data?.filter((entry) => meets(entry, wanted)) ?? [];
  const last = data?.at(-1)?.seq;
  return (
    <div className="stack">
      <div className="line">
        <input
          data-testid="audit-filter"
          aria-label="Filter this page"
          placeholder="Filter this page: account, action, study, detail"
          size={48}
          value={wanted}
          onChange={(event) => setWanted(event.target.value)}
        />
        <span className="spread" />
        <span className="dim">{data ? `${rows.length} of ${data.length} lines, newest first` : ""}</span>
        <button disabled={!turned.length} onClick={() => setTurned(turned.slice(0, -1))}>Newer</button>
        <button disabled={!data || data.length < PAGE || !last} onClick={() => last && setTurned([...turned, last])}>Older</button>
        <button onClick={reload}>Refresh</button>
      </div>
      <Problem words={problem} retry={reload} />
      {!data && !problem && <p className="dim">Loading…</p>}
      {data && !rows.length && <p className="dim">{wanted ? "No line of this page meets the filter; older pages may." : "Nothing is written down yet."}</p>}
      {rows.length > 0 && (
        <table className="wide" aria-label="Audit log">
          <thead><tr><th className="right">No.</th><th>At</th><th>Account</th><th>Action</th><th>Study</th><th>Detail</th></tr></thead>
          <tbody>
            {rows.map((entry) => (
              <tr key={entry.seq} title={`hash ${entry.hash}`}>
                <td className="right dim">{entry.seq}</td>
                <td>{new Date(entry.at).toLocaleString()}</td>
                <td>{entry.user ?? <span className="dim">nobody</span>}</td>
                <td>{entry.action}</td>
                <td className="dim">{entry.study_id?.slice(0, 8)}</td>
                <td>{detail(entry)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}
