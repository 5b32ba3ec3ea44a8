// What can be said of a finding, in the server's words; asked once.
import { create } from "zustand";
import { get, type Choices } from "../api/client";
import { readable } from "../report/words";

const useStore = create<{ choices: Choices | null }>(() => ({ choices: null }));

export const useChoices = (): Choices | null => useStore((s) => s.choices);

export async function loadChoices(): Promise<void> {
  if (useStore.getState().choices === null) useStore.setState({ choices: await get<Choices>("/api/choices") });
}

/** A type of lesion as readers call it; in a component `useTypeWords`, which draws it again once the words are there. */
export const typeWords = (type: string): string =>
  useStore.getState().choices?.types.find(([value]) => value === type)?.[1] ?? readable(type);

export function useTypeWords(): (type: string) => string {
  useChoices();
  return typeWords;
}
