// The keys of the viewer, told once: what they do, and what the help shows.
export interface Key {
  keys: string;
  words: string;
}

export const HELP: Record<string, Key[]> = {
  "Look": [
    { keys: "Wheel, ↑ ↓", words: "scroll the plane in hand" },
    { keys: "PgUp PgDn", words: "ten slices" },
    { keys: "Click (C)", words: "crosshair: all planes go there" },
    { keys: "Shift + arrows", words: "move the crosshair" },
    { keys: "Tab", words: "the next plane, then the report" },
    { keys: "Right drag, Ctrl + arrows", words: "window level and width" },
    { keys: "1 2 3 4 5", words: "soft tissue, lung, liver, bone, brain" },
    { keys: "Z, Shift Z, Ctrl + wheel", words: "zoom" },
    { keys: "Shift or middle drag", words: "pan" },
    { keys: "0, double click", words: "fit the picture to its pane" },
    { keys: "T", words: "slab MIP: off, 5, 10, 20 mm" },
    { keys: "V", words: "3D in place of the sagittal plane" },
    { keys: "+", words: "crosshair on, off" },
    { keys: "Esc", words: "put the tool down; again: the worklist" },
  ],
  "Edit": [
    { keys: "D", words: "brush; G: ball instead of disc" },
    { keys: "H", words: "brush only a range of HU" },
    { keys: "E", words: "eraser" },
    { keys: "[ ]", words: "brush smaller, larger" },
    { keys: "U", words: "bucket: fill an outline, or tissue of a range of HU" },
    { keys: "F", words: "fill holes in this slice" },
    { keys: "I", words: "interpolate between painted slices" },
    { keys: "Ctrl Z, Ctrl Y", words: "undo, redo: one step an action" },
    { keys: "M", words: "masks on, off; Shift M: outline alone" },
    { keys: ", .", words: "masks fainter, stronger" },
    { keys: "O", words: "the AI's own outline beside it" },
  ],
  "Findings": [
    { keys: "J K", words: "next, previous finding" },
    { keys: "A X", words: "accept, reject" },
    { keys: "N", words: "new finding" },
    { keys: "Y", words: "another type" },
    { keys: "P", words: "click a point: the network proposes" },
    { keys: "B", words: "draw a box: the network proposes" },
    { keys: "Enter, Esc", words: "take, leave the proposal" },
    { keys: "S", words: "sign" },
  ],
  "Measure": [
    { keys: "L", words: "length" },
    { keys: "R", words: "bidirectional (RECIST)" },
    { keys: "Q", words: "region: area and HU" },
    { keys: "Space", words: "begin and end at the crosshair, paint, click" },
    { keys: "Delete", words: "remove the measurement chosen" },
  ],
};

/** Whether a key moves the slider that has the focus. */
export const slides = (event: KeyboardEvent): boolean =>
  (event.target as HTMLElement | null)?.matches?.("input[type=range]") === true && /^(Arrow|Page|Home|End)/.test(event.key);

/** Whether a key belongs to a field that is being typed in. */
export function typing(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest?.("input:not([type=checkbox]):not([type=radio]):not([type=range]), textarea, select, dialog, [contenteditable]");
}

const SHIFTED = new Set(["M", "T", "Z"]);

/** The key of an event: letters small, but for those that mean something else with Shift. */
export function keyOf(event: { key: string; shiftKey: boolean }): string {
  if (event.key.length !== 1) return event.key;
  const upper = event.key.toUpperCase();
  return event.shiftKey && SHIFTED.has(upper) ? upper : event.key.toLowerCase();
}
