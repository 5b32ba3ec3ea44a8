import { useEffect, useState, type ReactElement } from "react";
import { call, type StudyRow, type User } from "../api/client";
import { useLoaded, wordsOf } from "../api/loaded";
import { Dialog, Problem } from "../app/Dialog";
import { personName } from "./format";

/** Managers: how soon it is analysed, who may see it, and that it goes. */
export function Manage({ row, close, changed }: { row: StudyRow; close: () => void; changed: () => void }): ReactElement {
  const [problem, setProblem] = useState("");
  const [priority, setPriority] = useState(row.priority);
  const [restricted, setRestricted] = useState(row.restricted);
  const readers = useLoaded<User[]>("/api/readers");
  const access = useLoaded<User[]>(`/api/studies/${row.id}/access`);
  const [granted, setGranted] = useState<ReadonlySet<string> | null>(null);
  const [deleting, setDeleting] = useState(false);
  const [busy, setBusy] = useState(false);
  useEffect(() => setGranted(access.data && new Set(access.data.map((user) => user.id))), [access.data]);
  const act = async (doIt: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    setProblem("");
    try {
      await doIt();
      changed();
      close();
    } catch (error) {
      setProblem(wordsOf(error));
    } finally {
      setBusy(false);
    }
  };
  const save = (): Promise<void> =>
    act(async () => {
      // whom it is open to first, so that it is never restricted without them
      if (granted) await call("PUT", `/api/studies/${row.id}/access`, { json: { user_ids: [...granted] } });
      await call("PATCH", `/api/studies/${row.id}`, { json: { priority, restricted } });
    });
  const toggle = (id: string): void => {
    const next = new Set(granted);
    if (!next.delete(id)) next.add(id);
    setGranted(next);
  };
  return (
    <Dialog
      title={`${personName(row.patient_name)} · ${row.patient_id}`}
      close={close}
      actions={
        <>
          {deleting ? (
            <button
              className="danger"
              data-testid="delete-surely"
              disabled={busy}
              onClick={() => void act(() => call("DELETE", `/api/studies/${row.id}`))}
            >
              Delete {row.images} images and drafts for ever
            </button>
          ) : (
            <button
              data-testid="delete"
              disabled={row.state === "signed"}
              title={row.state === "signed" ? "A signed study is kept." : undefined}
              onClick={() => setDeleting(true)}
            >
              Delete…
            </button>
          )}
          <span className="spread" />
          <button className="primary" data-testid="save" disabled={busy || !granted} onClick={() => void save()}>
            Save
          </button>
        </>
      }
    >
      <Problem words={problem || readers.problem || access.problem} />
      <label className="line">
        Priority
        <input
          type="number"
          min={-10}
          max={10}
          step={1}
          value={priority}
          onChange={(event) => setPriority(Math.max(-10, Math.min(10, Math.round(event.target.valueAsNumber || 0))))}
        />
        <span className="dim">-10 to 10; higher is analysed sooner</span>
      </label>
      <label className="line">
        <input type="checkbox" data-testid="restricted" checked={restricted} onChange={(event) => setRestricted(event.target.checked)} />
        Restricted: only managers and those below see it
      </label>
      <fieldset disabled={!restricted} className="people" aria-label="Open to">
        {!readers.data && !readers.problem && <span className="dim">Loading…</span>}
        {readers.data?.length === 0 && <span className="dim">There is no account yet that it could be opened to.</span>}
        {readers.data?.map((user) => (
          <label key={user.id} className="line">
            <input type="checkbox" checked={granted?.has(user.id) ?? false} onChange={() => toggle(user.id)} />
            {user.display_name} <span className="dim">{user.name} · {user.role}</span>
          </label>
        ))}
      </fieldset>
    </Dialog>
  );
}
