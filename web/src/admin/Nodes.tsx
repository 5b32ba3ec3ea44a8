import { useState, type ReactElement } from "react";
import { call, type Schemas } from "../api/client";
import { useLoaded, wordsOf } from "../api/loaded";
import { Dialog, Problem } from "../app/Dialog";
import { useSession } from "../store/session";
import { useActing } from "./acting";
import { NodeEdit } from "./NodeEdit";

type Node = Schemas["NodeOut"];
type Echo = Schemas["EchoOut"];

export function Nodes(): ReactElement {
  const admin = useSession((session) => session.user?.role === "admin");
  const { data, problem, reload } = useLoaded<Node[]>("/api/nodes");
  const [edited, setEdited] = useState<Node | "new" | null>(null);
  const [gone, setGone] = useState<Node | null>(null);
  const [echoes, setEchoes] = useState<Readonly<Record<string, Echo | null>>>({});
  const { busy, problem: trouble, act } = useActing();
  const echo = async (id: string): Promise<void> => {
    setEchoes((was) => ({ ...was, [id]: null }));
    const told = await call<Echo>("POST", `/api/nodes/${id}/echo`).catch((error: unknown) => ({ ok: false, words: wordsOf(error) }));
    setEchoes((was) => ({ ...was, [id]: told }));
  };
  const remove = async (node: Node): Promise<void> => {
    if (!(await act(() => call("DELETE", `/api/nodes/${node.id}`)))) return;
    setGone(null);
    reload();
  };
  return (
    <div className="stack">
      {admin && <div className="line"><button className="primary" data-testid="new-node" onClick={() => setEdited("new")}>New PACS…</button></div>}
      <Problem words={problem} retry={reload} />
      {!data && !problem && <p className="dim">Loading…</p>}
      {data?.length === 0 && <p className="notice">No PACS yet. {admin ? "Add one to fetch studies from it and to send what is signed." : "An administrator adds one."}</p>}
      {data && data.length > 0 && (
        <table className="wide" aria-label="PACS nodes">
          <thead>
            <tr>
              <th>Name</th><th>Kind</th><th>Address</th><th>Gets</th><th>State</th><th>Answer</th><th className="right">Actions</th>
            </tr>
          </thead>
          <tbody>
            {data.map((node) => (
              <tr key={node.id} className={node.active ? undefined : "dim"} data-testid="node">
                <td>{node.name}</td>
                <td>{node.kind}</td>
                <td>{node.kind === "dicomweb" ? node.url : `${node.ae_title}@${node.host}:${node.port}, C-${node.retrieves_by.toUpperCase()}`}</td>
                <td>{gets(node)}</td>
                <td>{node.active ? "active" : "switched off"}</td>
                <td role="status"><Answer told={echoes[node.id]} /></td>
                <td className="right">
                  <button className="small" aria-label={`Echo ${node.name}`} disabled={echoes[node.id] === null} onClick={() => void echo(node.id)}>Echo</button>{" "}
                  {admin && <button className="small" aria-label={`Change ${node.name}`} onClick={() => setEdited(node)}>Change…</button>}{" "}
                  {admin && <button className="small" aria-label={`Delete ${node.name}`} onClick={() => setGone(node)}>Delete…</button>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {edited && <NodeEdit node={edited === "new" ? null : edited} close={() => setEdited(null)} done={reload} />}
      {gone && (
        <Dialog
          title={`Delete ${gone.name}?`}
          close={() => setGone(null)}
          actions={<button className="danger" data-testid="delete-surely" disabled={busy} onClick={() => void remove(gone)}>Delete</button>}
        >
          <Problem words={trouble} />
          <p>Nothing is fetched from it or sent to it any more; what still waits for it fails and says so.</p>
        </Dialog>
      )}
    </div>
  );
}

/** What is sent there. */
export function gets(node: Node): string {
  const told = [node.sends_to && (node.sends_pdf ? "signed reports with PDF" : "signed reports"), node.auto_sends && "unsigned AI results"];
  return told.filter(Boolean).join(", ") || "nothing";
}

function Answer({ told }: { told: Echo | null | undefined }): ReactElement | null {
  if (told === undefined) return null;
  return told === null ? <span className="dim">asking…</span> : <span className={told.ok ? "good" : "bad"}>{told.words}</span>;
}
