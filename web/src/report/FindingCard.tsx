import { useEffect, useRef, type ReactElement } from "react";
import type { Change, Choices, Finding } from "../api/client";
import { useTypeWords } from "../store/choices";
import { useReading } from "../store/reading";
import { css } from "../viewer/draw";
import { aiWords, organWords, placeWords, readable, sizeWords, withPresent } from "./words";
import { Words } from "./Words";

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
  const replaced = useReading((s) => s.replaced);
  const tell = (op: object): Promise<boolean> => change([{ number: finding.number, ...op } as Change]);
  const card = useRef<HTMLLIElement>(null);
  const before = useRef(active);
  useEffect(() => {
    if (active && !before.current) reveal(card.current);
    before.current = active;
  }, [active]);
  const type = useTypeWords()(finding.type);
  return (
    <li ref={card} className={`finding ${finding.decision}${active ? " active" : ""}`} data-testid={`finding-${finding.number}`} aria-current={active}>
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
          onClick={() => void tell({ op: "decide", decision: finding.decision === "accepted" ? "open" : "accepted" })}
        >
          ✓<span className="unseen"> accept finding {finding.number}</span>
        </button>
        <button
          className={finding.decision === "rejected" ? "no" : ""}
          aria-pressed={finding.decision === "rejected"}
          disabled={locked}
          data-testid={`reject-${finding.number}`}
          title="reject (X)"
          onClick={() => void tell({ op: "decide", decision: finding.decision === "rejected" ? "open" : "rejected" })}
        >
          ✕<span className="unseen"> reject finding {finding.number}</span>
        </button>
      </div>
      <div className="dim sizes" data-testid={`size-${finding.number}`}>
        {placeWords(finding)} · {sizeWords(finding, liveMl)}
        {finding.size && ` · ${finding.size.mean_hu.toFixed(0)} HU`}
        {finding.origin === "ai" && finding.mask_edited && " · outline edited"}
      </div>
      {active && <Details key={replaced} finding={finding} choices={choices} locked={locked} tell={tell} />}
    </li>
  );
}

const STICKY_PX = 140;

/** Bring a finding that a key chose into sight: all of it if the panel has room, else its first line. */
function reveal(card: HTMLElement | null): void {
  const room = (card?.closest(".report")?.clientHeight ?? 0) - STICKY_PX;
  const shown = card && card.offsetHeight > room ? card.querySelector(".head") : card;
  shown?.scrollIntoView({ block: "nearest" });
}

interface DetailProps {
  finding: Finding;
  choices: Choices | null;
  locked: boolean;
  tell: (op: object) => Promise<boolean>;
}

function Details({ finding, choices, locked, tell }: DetailProps): ReactElement {
  return (
    <div className="details">
      <label>
        Type
        <select
          className={finding.ai?.type === finding.type ? "is-ai" : ""}
          title={finding.ai?.type === finding.type ? "as the AI sees it (Y: another)" : "Y: another"}
          data-testid={`type-${finding.number}`}
          disabled={locked}
          value={finding.type}
          onChange={(event) => void tell({ op: "retype", type: event.target.value })}
        >
          {withPresent(choices?.types ?? [], finding.type).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <Place finding={finding} organs={choices?.organs ?? []} locked={locked} tell={tell} />
      {Object.entries(finding.attributes).map(([name, attribute]) => (
        <AttributeRow key={name} name={name} attribute={attribute} values={choices?.attributes[name] ?? []} locked={locked} tell={tell} />
      ))}
      <label>
        Note
        <Words label={`note on finding ${finding.number}`} rows={1} text={finding.note} locked={locked} save={(text) => tell({ op: "note", text })} />
      </label>
      <p className="sentence">{finding.sentence}</p>
      {finding.origin !== "ai" && !locked && (
        <button data-testid={`remove-${finding.number}`} onClick={() => void tell({ op: "remove" })}>
          Remove this finding and its outline
        </button>
      )}
    </div>
  );
}

const MOST_PLACE_LETTERS = 64;

function Place({ finding, organs, locked, tell }: Pick<DetailProps, "finding" | "locked" | "tell"> & { organs: string[] }): ReactElement {
  const place = (change: Partial<Pick<Finding, "organ" | "side" | "location">>): Promise<boolean> =>
    tell({ op: "place", organ: finding.organ, side: finding.side, location: finding.location, ...change });
  return (
    <>
      <div className="pair">
        <label>
          Organ
          <select
            className={finding.organ && finding.place_by === "ai" ? "is-ai" : ""}
            title={finding.organ && finding.place_by === "ai" ? "as the AI sees it" : undefined}
            data-testid={`organ-${finding.number}`}
            disabled={locked}
            value={finding.organ}
            onChange={(event) => void place({ organ: event.target.value })}
          >
            {[...new Set([finding.organ, "", ...organs])].map((organ) => (
              <option key={organ} value={organ}>
                {organ ? organWords(organ) : "unknown"}
              </option>
            ))}
          </select>
        </label>
        <label>
          Side
          <select
            data-testid={`side-${finding.number}`}
            disabled={locked}
            value={finding.side}
            onChange={(event) => void place({ side: event.target.value })}
          >
            <option value="">none</option>
            <option value="left">left</option>
            <option value="right">right</option>
          </select>
        </label>
      </div>
      <label>
        Where
        <Words
          label={`location of finding ${finding.number}`}
          rows={1}
          maxLength={MOST_PLACE_LETTERS}
          text={finding.location}
          locked={locked}
          save={(location) => place({ location })}
        />
      </label>
    </>
  );
}

interface RowProps {
  name: string;
  attribute: Finding["attributes"][string];
  values: [string, string][];
  locked: boolean;
  tell: (op: object) => Promise<boolean>;
}

/** One field of the description: its options, and the AI's word beside the reader's; keys 1 to n choose while it has the focus. */
function AttributeRow({ name, attribute, values, locked, tell }: RowProps): ReactElement {
  const say = (value: string | null): void => void tell({ op: "describe", attribute: name, value });
  return (
    <fieldset
      disabled={locked}
      onKeyDown={(event) => {
        const value = values[Number(event.key) - 1]?.[0];
        if (!value || locked || event.ctrlKey || event.metaKey || event.altKey) return;
        say(value);
        event.preventDefault();
        event.stopPropagation();
      }}
    >
      <legend>
        {readable(name)} {attribute.by === "ai" && attribute.value !== null && <span className="ai tag">AI</span>}
        <span className="dim">{aiWords(attribute, values)}</span>
        {!locked && attribute.by !== "ai" && attribute.ai && (
          <button type="button" className="plain back" data-testid={`back-${name}`} onClick={() => say(null)}>
            back to AI
          </button>
        )}
      </legend>
      {values.map(([value, words], n) => (
        <button
          key={value}
          type="button"
          className={attribute.value === value ? (attribute.by === "ai" ? "is-ai" : "on") : ""}
          aria-pressed={attribute.value === value}
          data-testid={`attr-${name}-${value}`}
          title={`${value} (${n + 1})`}
          onClick={() => say(value)}
        >
          {words}
        </button>
      ))}
    </fieldset>
  );
}
