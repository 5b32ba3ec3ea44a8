import { useEffect, useState, type ReactElement } from "react";
import { type Choices, type Finding, type Reading, type Study } from "../api/client";
import { useReading } from "../store/reading";
import { useMayRead } from "../store/session";
import { age, day, personName } from "../worklist/format";
import { Compared } from "./Compared";
import { Conflicted } from "./Conflicted";
import { FindingCard } from "./FindingCard";
import { Measurements } from "./Measurements";
import { Sign } from "./Sign";
import { Signed } from "./Signed";
import { undecided } from "./words";
import { Words } from "./Words";
import "./report.css";

let openIt: (() => void) | null = null;

/** Open the signature's dialog, from a key. */
export function openSign(): void {
  openIt?.();
}

interface Props {
  study: Study;
  choices: Choices | null;
  liveMl: ReadonlyMap<number, number>;
  onJump: (finding: Finding) => void;
  /** Go to a point of the patient, RAS+ mm. */
  onPlace: (at: [number, number, number]) => void;
  onPrior: (studyId: string | null) => void;
}

/** The report beside the images. */
export function ReportPanel({ study, choices, liveMl, onJump, onPlace, onPrior }: Props): ReactElement {
  const { reading, active, conflict } = useReading();
  const [signing, setSigning] = useState(false);
  const mayRead = useMayRead();
  useEffect(() => {
    openIt = () => mayRead && reading && reading.state !== "signed" && setSigning(true);
    return () => {
      openIt = null;
    };
  }, [reading, mayRead]);
  const signed = reading?.state === "signed";
  const locked = signed || !mayRead;
  return (
    <aside className="report" aria-label="Report">
      <header>
        <div>
          <b>{personName(study.patient_name)}</b> <span className="dim">{study.patient_id}</span>
        </div>
        <div className="dim">
          {[study.sex, age(study.birth_date, study.study_at), day(study.study_at), study.description].filter(Boolean).join(" · ")}
        </div>
        <Saved />
      </header>
      {reading ? (
        <>
          {signed && <Signed studyId={study.id} reading={reading} />}
          <section>
            <h3>
              Findings <span className="dim">{reading.findings.length}</span>
            </h3>
            {reading.findings.length === 0 && <p className="dim">None.{locked ? "" : " Make one with N, or let the network propose one with P."}</p>}
            <ul>
              {reading.findings.map((one) => (
                <FindingCard
                  key={one.number}
                  finding={one}
                  choices={choices}
                  liveMl={liveMl.get(one.number)}
                  active={one.number === active}
                  locked={locked}
                  onJump={onJump}
                />
              ))}
            </ul>
          </section>
          <Measurements reading={reading} locked={locked} onPlace={onPlace} />
          <Impression reading={reading} locked={locked} />
          <Compared studyId={study.id} reading={reading} locked={locked} onPrior={onPrior} />
          {reading.doubts.length > 0 && (
            <section>
              <h3 className="warn">Doubts about this CT</h3>
              {reading.doubts.map((one) => (
                <p key={one.code}>{one.words}</p>
              ))}
            </section>
          )}
          {!locked && (
            <div className="sign-bar">
              <button className="primary" data-testid="sign" onClick={() => setSigning(true)}>
                Sign <kbd>S</kbd>
              </button>
              <span className="dim">{undecided(reading)}</span>
            </div>
          )}
          <footer>
            <Links id={study.id} />
            <p className="dim">
              {reading.algorithm}
              <br />
              {reading.operating_point}
            </p>
          </footer>
        </>
      ) : (
        <section>
          <p className="dim">There is no reading yet: it begins with what the analysis finds.</p>
        </section>
      )}
      {signing && reading && !locked && <Sign studyId={study.id} reading={reading} close={() => setSigning(false)} />}
      {conflict && <Conflicted conflict={conflict} />}
    </aside>
  );
}

/** Whether everything is on the server. */
function Saved(): ReactElement {
  const { saving, problem, failing, retry, leaveOut, reading } = useReading();
  const state = reading && (reading.state === "draft" ? "draft" : reading.state === "signed" ? "signed" : "not begun");
  return (
    <div role="status" data-testid="saving" className={saving === "offline" || saving === "refused" ? "bad" : "dim"}>
      {saving === "saved" && reading ? `Saved · version ${reading.version} · ${state}` : ""}
      {saving === "saving" && "Saving…"}
      {saving === "offline" && failing && "Kept here, not saved yet: "}
      {saving === "refused" && "Not saved: "}
      {saving !== "saving" && problem}
      {saving === "offline" && (
        <span className="line">
          <button onClick={() => void retry()}>Try again</button>
          {failing && (
            <button className="plain" onClick={() => void leaveOut()}>
              Leave the first change out
            </button>
          )}
        </span>
      )}
    </div>
  );
}

function Impression({ reading, locked }: { reading: Reading; locked: boolean }): ReactElement {
  const change = useReading((s) => s.change);
  const replaced = useReading((s) => s.replaced);
  const own = reading.impression_text !== null;
  const write = (field: "comment" | "impression", text: string | null): Promise<boolean> => change([{ op: "write", field, text }]);
  return (
    <section key={replaced}>
      <h3>
        Impression{" "}
        {!locked && (
          <button className="plain" onClick={() => void write("impression", own ? null : reading.impression.join("\n"))}>
            {own ? "back to the generated" : "in my own words"}
          </button>
        )}
      </h3>
      {own ? (
        <Words label="impression" rows={5} text={reading.impression_text ?? ""} locked={locked} save={(text) => write("impression", text)} />
      ) : (
        <div data-testid="impression">
          {reading.impression.map((line, n) => (
            <p key={n}>{line}</p>
          ))}
        </div>
      )}
      <h3>Comment</h3>
      <Words label="comment" text={reading.comment} locked={locked} save={(text) => write("comment", text)} />
    </section>
  );
}

function Links({ id }: { id: string }): ReactElement {
  const files: [string, string][] = [
    ["report.html", "Print"],
    ["report.pdf", "PDF"],
    ["seg.dcm", "SEG"],
    ["sr.dcm", "SR"],
    ["fhir", "FHIR"],
    ["export.zip?deidentify=true", "De-identified zip"],
  ];
  return (
    <span className="links">
      {files.map(([path, words]) => (
        <a key={path} href={`/api/studies/${id}/${path}`} target="_blank" rel="noreferrer">
          {words}
        </a>
      ))}
    </span>
  );
}
