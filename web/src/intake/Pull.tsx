import { useEffect, useState, type FormEvent, type ReactElement } from "react";
import { call, get, type Schemas } from "../api/client";
import { useLoaded, wordsOf } from "../api/loaded";
import { Problem } from "../app/Dialog";
import { personName } from "../worklist/format";

type Remote = Schemas["RemoteStudyOut"];
type Job = Schemas["JobOut"];
/** Fetches by the study's UID. */
type Asked = Readonly<Record<string, Job>>;
const EVERY_MS = 1500;

/** Keeps what was asked for up to date until it is done or failed. */
function useFollowed(asked: Asked, put: (next: (was: Asked) => Asked) => void): void {
  const open = Object.values(asked).some((job) => job.state === "queued" || job.state === "running");
  useEffect(() => {
    if (!open) return;
    const timer = setInterval(() => {
      // an answer that does not come is asked for again
      get<Job[]>("/api/jobs?limit=500").then(
        (jobs) => {
          const known = new Map(jobs.map((job) => [job.id, job]));
          put((was) => Object.fromEntries(Object.entries(was).map(([uid, job]) => [uid, known.get(job.id) ?? job])));
        },
        () => undefined,
      );
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, [open, put]);
}

/** Managers: what a PACS has, and fetching it. */
export function Pull(): ReactElement {
  const nodes = useLoaded<Schemas["NodeOut"][]>("/api/nodes");
  const active = nodes.data?.filter((node) => node.active) ?? [];
  const [picked, setPicked] = useState("");
  const node = picked || active[0]?.id || "";
  const [q, setQ] = useState("");
  const [found, setFound] = useState<Remote[] | null>(null);
  const [asked, setAsked] = useState<Asked>({});
  useFollowed(asked, setAsked);
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
      const job = await call<Job>("POST", "/api/pull", { json: { node_id: node, study_uid: uid } });
      setAsked((was) => ({ ...was, [uid]: job }));
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
          <thead><tr><th>Patient</th><th>ID</th><th>Date</th><th>Description</th><th>Modalities</th><th className="right">Here</th></tr></thead>
          <tbody>
            {found.map((one) => (
              <tr key={one.study_uid}>
                <td>{personName(one.patient_name)}</td>
                <td>{one.patient_id}</td>
                <td>{one.study_date.replace(/^(\d{4})(\d{2})(\d{2})$/, "$1-$2-$3")}</td>
                <td>{one.description}</td>
                <td>{one.modalities}</td>
                <td className="right">
                  <Fetching job={asked[one.study_uid]} again={one.here} start={() => void fetchIt(one.study_uid)} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Fetching({ job, again, start }: { job: Job | undefined; again: boolean; start: () => void }): ReactElement {
  if (!job) return <button className="small" onClick={start}>{again ? "Fetch again" : "Fetch"}</button>;
  if (job.state === "done") return <span className="good" role="status">here</span>;
  if (job.state === "failed")
    return (
      <span className="bad" role="alert">
        {job.cause || "failed"} <button className="small" onClick={start}>Fetch again</button>
      </span>
    );
  return <span className="dim" role="status" title={job.cause || undefined}>{job.state === "running" ? job.stage || "fetching" : job.cause ? "waits for another try" : "queued"}</span>;
}
