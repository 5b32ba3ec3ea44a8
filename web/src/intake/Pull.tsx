import { useState, type FormEvent, type ReactElement } from "react";
import { call, get, type Schemas } from "../api/client";
import { useLoaded, wordsOf } from "../api/loaded";
import { Problem } from "../app/Dialog";
import { personName } from "../worklist/format";

type Remote = Schemas["RemoteStudyOut"];

/** Managers: what a PACS has, and fetching it. */
export function Pull(): ReactElement {
  const nodes = useLoaded<Schemas["NodeOut"][]>("/api/nodes");
  const active = nodes.data?.filter((node) => node.active) ?? [];
  const [picked, setPicked] = useState("");
  const node = picked || active[0]?.id || "";
  const [q, setQ] = useState("");
  const [found, setFound] = useState<Remote[] | null>(null);
  const [asked, setAsked] = useState<Readonly<Record<string, string>>>({});
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const search = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    setFound(null);
    setAsked({});
    try {
      setFound(await get<Remote[]>(`/api/nodes/${node}/studies?${new URLSearchParams({ q })}`));
    } catch (error) {
      setProblem(wordsOf(error));
    } finally {
      setBusy(false);
    }
  };
  const fetchIt = async (uid: string): Promise<void> => {
    setProblem("");
    try {
      const job = await call<Schemas["JobOut"]>("POST", "/api/pull", { json: { node_id: node, study_uid: uid } });
      setAsked((was) => ({ ...was, [uid]: job.state }));
    } catch (error) {
      setProblem(wordsOf(error));
    }
  };
  return (
    <section className="panel" aria-label="From a PACS">
      <h2>From a PACS</h2>
      <Problem words={nodes.problem} retry={nodes.reload} />
      {!nodes.data && !nodes.problem && <p className="dim">Loading…</p>}
      {nodes.data && !active.length && <p className="dim">No PACS is set up. An administrator adds one under Administration, PACS.</p>}
      {active.length > 0 && (
        <form className="line" onSubmit={(event) => void search(event)}>
          <select
            aria-label="PACS"
            value={node}
            disabled={busy}
            onChange={(event) => { setPicked(event.target.value); setFound(null); setAsked({}); }}
          >
            {active.map((one) => <option key={one.id} value={one.id}>{one.name}</option>)}
          </select>
          <input
            data-testid="pull-search"
            aria-label="Patient name or ID"
            placeholder="Patient name or ID"
            maxLength={64}
            value={q}
            onChange={(event) => setQ(event.target.value)}
          />
          <button className="primary" disabled={busy}>{busy ? "Asking…" : "Search"}</button>
        </form>
      )}
      <Problem words={problem} />
      {found?.length === 0 && <p className="dim">The PACS has no study that meets this.</p>}
      {found && found.length > 0 && (
        <table className="wide">
          <thead><tr><th>Patient</th><th>ID</th><th>Date</th><th>Description</th><th>Modalities</th><th className="right">Fetch</th></tr></thead>
          <tbody>
            {found.map((one) => (
              <tr key={one.study_uid}>
                <td>
                  {personName(one.patient_name)}</td><td>{one.patient_id}</td><td>{one.study_date}</td><td>{one.description}</td><td>{one.modalities}
                </td>
                <td className="right">
                  {asked[one.study_uid] ? (
                    <span className="good">{asked[one.study_uid]}</span>
                  ) : (
                    <button className="small" onClick={() => void fetchIt(one.study_uid)}>
                      {one.here ? "Fetch again" : "Fetch"}
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
