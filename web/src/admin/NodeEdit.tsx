import { useState, type FormEvent, type ReactElement } from "react";
import { call, type Schemas } from "../api/client";
import { Dialog, Problem } from "../app/Dialog";
import { useActing } from "./acting";

type Told = Schemas["NodeIn"];

const EMPTY: Told = {
  name: "", kind: "dicomweb", url: "", user: "", password: null, host: "", port: 104, ae_title: "", retrieves_by: "get",
  sends_to: false, auto_sends: false, sends_pdf: false, active: true,
}; // prettier-ignore

interface Props {
  node: Schemas["NodeOut"] | null;
  close: () => void;
  done: () => void;
}

export function NodeEdit({ node, close, done }: Props): ReactElement {
  const { busy, problem, act } = useActing();
  const [told, setTold] = useState<Told>(() => {
    if (!node) return EMPTY;
    const { id: _id, ...rest } = node;
    return { ...rest, password: null };
  });
  const put = (part: Partial<Told>): void => setTold((was) => ({ ...was, ...part }));
  const save = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const worked = await act(() => (node ? call("PUT", `/api/nodes/${node.id}`, { json: told }) : call("POST", "/api/nodes", { json: told })));
    if (!worked) return;
    done();
    close();
  };
  return (
    <Dialog
      title={node ? `PACS ${node.name}` : "New PACS"}
      close={close}
      actions={<button className="primary" form="node" data-testid="save" disabled={busy}>Save</button>}
    >
      <form id="node" className="form" onSubmit={(event) => void save(event)}>
        <Problem words={problem} />
        <div className="half">
          <label className="field">
            Name
            <input name="name" required maxLength={64} value={told.name} onChange={(event) => put({ name: event.target.value })} />
          </label>
          <label className="field">Kind
            <select name="kind" value={told.kind} onChange={(event) => put({ kind: event.target.value as Told["kind"] })}>
              <option value="dicomweb">DICOMweb</option>
              <option value="dimse">DIMSE</option>
            </select>
          </label>
        </div>
        {told.kind === "dicomweb" ? <Web told={told} put={put} had={node !== null} /> : <Dimse told={told} put={put} />}
        <Check words="Gets what is signed: SEG and SR" on={told.sends_to} put={(sends_to) => put({ sends_to })} />
        <Check words="… and the report as PDF" on={told.sends_pdf} off={!told.sends_to} put={(sends_pdf) => put({ sends_pdf })} />
        <Check words="Gets what the AI says too, unsigned, as soon as it is there" on={told.auto_sends} put={(auto_sends) => put({ auto_sends })} />
        <Check words="Active: studies are fetched from it and results sent to it" on={told.active} put={(active) => put({ active })} />
      </form>
    </Dialog>
  );
}

type Part = { told: Told; put: (part: Partial<Told>) => void };

function Web({ told, put, had }: Part & { had: boolean }): ReactElement {
  return (
    <>
      <label className="field">
        Address of its DICOMweb service
        <input
          name="url"
          type="url"
          required
          maxLength={512}
          placeholder="https://pacs.example/dicom-web"
          value={told.url}
          onChange={(event) => put({ url: event.target.value })}
        />
      </label>
      <div className="half">
        <label className="field">
          User
          <input name="user" maxLength={128} autoComplete="off" value={told.user} onChange={(event) => put({ user: event.target.value })} />
        </label>
        <label className="field">
          Password{had ? " (empty keeps it)" : ""}
          <input
            name="node-password"
            type="password"
            maxLength={256}
            autoComplete="new-password"
            value={told.password ?? ""}
            onChange={(event) => put({ password: event.target.value || null })}
          />
        </label>
      </div>
    </>
  );
}

function Dimse({ told, put }: Part): ReactElement {
  return (
    <>
      <div className="half">
        <label className="field">
          Host
          <input name="host" required maxLength={256} value={told.host} onChange={(event) => put({ host: event.target.value })} />
        </label>
        <label className="field">
          Port
          <input
            name="port"
            type="number"
            required
            min={1}
            max={65535}
            value={told.port || ""}
            onChange={(event) => put({ port: event.target.valueAsNumber || 0 })}
          />
        </label>
      </div>
      <div className="half">
        <label className="field">
          Its AE title
          <input name="ae_title" required maxLength={16} value={told.ae_title} onChange={(event) => put({ ae_title: event.target.value })} />
        </label>
        <label className="field">Images are fetched by
          <select name="retrieves_by" value={told.retrieves_by} onChange={(event) => put({ retrieves_by: event.target.value })}>
            <option value="get">C-GET</option>
            <option value="move">C-MOVE to our receiver</option>
          </select>
        </label>
      </div>
    </>
  );
}

function Check({ words, on, put, off = false }: { words: string; on: boolean; put: (on: boolean) => void; off?: boolean }): ReactElement {
  return (
    <label className={off ? "line dim" : "line"}>
      <input type="checkbox" checked={on && !off} disabled={off} onChange={(event) => put(event.target.checked)} /> {words}
    </label>
  );
}
