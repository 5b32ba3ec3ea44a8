import { useEffect, useRef, useState, type DragEvent, type ReactElement } from "react";
import type { Schemas } from "../api/client";
import { useLoaded } from "../api/loaded";
import { Problem } from "../app/Dialog";
import { go } from "../app/route";
import { useSession } from "../store/session";
import { clock } from "../worklist/format";
import { chosen, dropped, size, type Named } from "./gather";
import { Pull } from "./Pull";
import { useSending } from "./send";

export default function Import(): ReactElement {
  const user = useSession((session) => session.user);
  const { busy, forget } = useSending();
  const owner = user?.id ?? "";
  useEffect(() => forget(owner), [owner, forget]);
  if (user?.role === "admin")
    return <main className="page"><p className="notice">Administrators take no studies in. A reader or a manager does.</p></main>;
  return (
    <main className="page">
      <h1 className="unseen">Import</h1>
      <div className="stack">
        <Upload />
        {user?.role === "manager" && <Pull />}
        <Refused busy={busy} />
      </div>
    </main>
  );
}

function Upload(): ReactElement {
  const { busy, send } = useSending();
  const [over, setOver] = useState(false);
  const [unread, setUnread] = useState<string[]>([]);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const begin = (found: Named[], failed: string[] = []): void => {
    setUnread(found.length || failed.length ? failed : ["There is no file in what was chosen."]);
    void send(found);
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    if (!busy) void dropped(event.dataTransfer).then((found) => begin(found.files, found.unread));
  };
  const pick = (input: HTMLInputElement): void => {
    begin(chosen(input.files));
    input.value = "";
  };
  return (
    <section className="panel" aria-label="Upload">
      <h2>Upload</h2>
      <div
        className={over ? "drop over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(!busy);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <span>Drop DICOM files, folders or zip archives here</span>
        <span className="actions">
          <button onClick={() => files.current?.click()} disabled={busy}>Choose files…</button>
          <button onClick={() => folder.current?.click()} disabled={busy}>Choose a folder…</button>
        </span>
        <input
          ref={files}
          data-testid="upload-files"
          className="hidden-input"
          tabIndex={-1}
          aria-label="Files to upload"
          type="file"
          multiple
          disabled={busy}
          onChange={(event) => pick(event.target)}
        />
        <input
          ref={folder}
          data-testid="upload-folder"
          className="hidden-input"
          tabIndex={-1}
          aria-label="Folder to upload"
          type="file"
          multiple
          disabled={busy}
          {...{ webkitdirectory: "" }}
          onChange={(event) => pick(event.target)}
        />
      </div>
      <Told unread={unread} />
    </section>
  );
}

function Told({ unread }: { unread: string[] }): ReactElement {
  const { busy, done, total, taken, again, studies, rejected, problem, rest, stop, send } = useSending();
  const any = busy || taken + again + rejected.length > 0;
  return (
    <div data-testid="upload-result" className="form">
      {busy && (
        <div className="line">
          <progress aria-label="Upload" max={Math.max(total, 1)} value={done} />
          <span className="dim">{size(done)} of {size(total)}</span>
          <button onClick={stop}>Stop</button>
        </div>
      )}
      {problem && (
        <p className="notice bad" role="alert">
          {problem} {rest.length > 0 && <button onClick={() => void send(rest)}>Send the remaining {rest.length} files</button>}
        </p>
      )}
      {unread.map((words) => <p key={words} className="notice warn" role="alert">{words}</p>)}
      {any && (
        <p role="status" className="line">
          <span className="good">
            {taken} taken</span> · <span>{again} already here</span> · <span className={rejected.length ? "bad" : undefined}>{rejected.length} not taken
          </span>
          {studies.size > 0 && (
            <>
              · {studies.size} {studies.size === 1 ? "study" : "studies"}
              <button onClick={() => go("/worklist")}>To the worklist</button>
            </>
          )}
        </p>
      )}
      {rejected.length > 0 && <Reasons rows={rejected} />}
    </div>
  );
}

function Refused({ busy }: { busy: boolean }): ReactElement {
  const { data, problem, reload } = useLoaded<Schemas["RejectedOut"][]>("/api/rejected");
  useEffect(() => {
    if (!busy) reload();
  }, [busy, reload]);
  return (
    <section className="panel" aria-label="Files that were not taken">
      <h2>Files that were not taken</h2>
      <Problem words={problem} retry={reload} />
      {!data && !problem && <p className="dim">Loading…</p>}
      {data?.length === 0 && <p className="dim">None. Whatever cannot be read is listed here with the reason.</p>}
      {data && data.length > 0 && <Reasons rows={data} when />}
    </section>
  );
}

function Reasons({ rows, when = false }: { rows: readonly Schemas["RejectedOut"][]; when?: boolean }): ReactElement {
  return (
    <table className="wide">
      <thead>
        <tr>{when && <th>When</th>}{when && <th>How</th>}<th>File</th><th>Why not</th></tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.id}>
            {when && <td className="dim">{clock(row.at)}</td>}{when && <td className="dim">{row.source}</td>}<td>{row.name}</td><td>{row.reason}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
