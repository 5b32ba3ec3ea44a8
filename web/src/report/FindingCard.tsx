import { useState, type ReactElement } from "react";
import type { Change, Choices, Finding } from "../api/client";
import { useReading } from "../store/reading";
import { css } from "../viewer/draw";
import { aiWords, placeWords, readable, sizeWords } from "./words";

interface Props {
  finding: Finding;
  choices: Choices | null;
  liveMl: number | undefined;
  active: boolean;
  locked: boolean;
  onJump: (finding: Finding) => void;
}

/** One finding: a row, and when it is the active one, everything that is said of it. */
export function FindingCard({ finding, choices, liveMl, active, locked, onJump }: Props): ReactElement {
  const change = useReading((s) => s.change);
  const tell = (op: object): void => void change([{ number: finding.number, ...op } as Change]);
  const type = choices?.types.find(([value]) => value === finding.type)?.[1] ?? readable(finding.type);
  return (
    <li className={`finding ${finding.decision}${active ? " active" : ""}`} data-testid={`finding-${finding.number}`} aria-current={active}>
      <div className="head">
        <button className="plain pick" onClick={() => onJump(finding)} title="go there (J, K)">
          <span className="chip" style={{ background: css(finding.number) }} />
          <b>{finding.number}</b> {type}
          {finding.probability != null && <span className="ai"> AI {(100 * finding.probability).toFixed(0)} %</span>}
          {finding.origin !== "ai" && <span className="dim"> {finding.origin}</span>}
        </button>
        <button
          className={finding.decision === "accepted" ? "yes" : ""}
          aria-pressed={finding.decision === "accepted"}
          disabled={locked}
          data-testid={`accept-${finding.number}`}
          title="accept (A)"
          onClick={() => tell({ op: "decide", decision: finding.decision === "accepted" ? "open" : "accepted" })}
        >
          ✓<span className="unseen"> accept finding {finding.number}</span>
        </button>
        <button
          className={finding.decision === "rejected" ? "no" : ""}
          aria-pressed={finding.decision === "rejected"}
          disabled={locked}
          data-testid={`reject-${finding.number}`}
          title="reject (X)"
          onClick={() => tell({ op: "decide", decision: finding.decision === "rejected" ? "open" : "rejected" })}
        >
          ✕<span className="unseen"> reject finding {finding.number}</span>
        </button>
      </div>
      <div className="dim sizes" data-testid={`size-${finding.number}`}>
        {placeWords(finding)} · {sizeWords(finding, liveMl)}
        {finding.size && ` · ${finding.size.mean_hu.toFixed(0)} HU`}
        {finding.mask_edited && " · outline edited"}
      </div>
      {active && <Details finding={finding} choices={choices} locked={locked} tell={tell} />}
    </li>
  );
}

function Details({ finding, choices, locked, tell }: { finding: Finding; choices: Choices | null; locked: boolean; tell: (op: object) => void }): ReactElement {
  const [note, setNote] = useState(finding.note);
  return (
    <div className="details">
      <label>
        Type
        <select
          data-testid={`type-${finding.number}`}
          disabled={locked}
          value={finding.type}
          onChange={(event) => tell({ op: "retype", type: event.target.value })}
        >
          {(choices?.types ?? [[finding.type, readable(finding.type)]]).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <label>
        Organ
        <select
          disabled={locked}
          value={finding.organ}
          onChange={(event) => tell({ op: "place", organ: event.target.value, side: finding.side, location: finding.location })}
        >
          {[...new Set([finding.organ, ...(choices?.organs ?? [])])].map((organ) => (
            <option key={organ} value={organ}>
              {organ ? readable(organ) : "unknown"}
            </option>
          ))}
        </select>
      </label>
      {Object.entries(finding.attributes).map(([name, attribute]) => (
        <fieldset
          key={name}
          disabled={locked}
          onKeyDown={(event) => {
            const value = choices?.attributes[name]?.[Number(event.key) - 1]?.[0];
            if (value) {
              tell({ op: "describe", attribute: name, value });
              event.preventDefault();
              event.stopPropagation();
            }
          }}
        >
          <legend>
            {name} {attribute.by === "ai" && attribute.value !== null && <span className="ai tag">AI</span>}
            <span className="dim">{aiWords(attribute)}</span>
            {attribute.by !== "ai" && attribute.ai && (
              <button className="plain back" onClick={() => tell({ op: "describe", attribute: name, value: null })}>
                back to AI
              </button>
            )}
          </legend>
          {(choices?.attributes[name] ?? []).map(([value, words], n) => (
            <button
              key={value}
              type="button"
              className={attribute.value === value ? (attribute.by === "ai" ? "is-ai" : "on") : ""}
              aria-pressed={attribute.value === value}
              data-testid={`attr-${name}-${value}`}
              title={`${value} (${n + 1})`}
              onClick={() => tell({ op: "describe", attribute: name, value })}
            >
              {words}
            </button>
          ))}
        </fieldset>
      ))}
      <label>
        Note
        <input disabled={locked} value={note} onChange={(event) => setNote(event.target.value)} onBlur={() => note !== finding.note && tell({ op: "note", text: note })} />
      </label>
      <p className="sentence">{finding.sentence}</p>
      {finding.origin !== "ai" && !locked && (
        <button onClick={() => tell({ op: "remove" })}>Remove this finding and its outline</button>
      )}
    </div>
  );
}
