// Every request to the server goes through here: the session's CSRF token, errors in words, and what a 401 means.
import type { components } from "./schema";

export type Schemas = components["schemas"];
export type User = Schemas["UserOut"];
export type StudyRow = Schemas["StudyRow"];
export type Study = Schemas["StudyOut"];
export type Reading = Schemas["ReadingOut"];
export type Finding = Schemas["FindingOut"];
export type Change = Schemas["ChangesIn"]["changes"][number];
export type Grid = Schemas["GridOut"];
export type Choices = Schemas["ChoicesOut"];

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly body: unknown,
  ) {
    super(message);
  }
}

/** The server could not be reached at all. */
export class OfflineError extends Error {
  constructor() {
    super("The server cannot be reached. Your work is kept here and sent when it answers again.");
  }
}

let csrf = "";
let onSessionOver: () => void = () => undefined;

export function setCsrf(token: string): void {
  csrf = token;
}

/** For what fetch cannot do: an upload that tells how far it is. */
export const csrfToken = (): string => csrf;

export function whenSessionIsOver(call: () => void): void {
  onSessionOver = call;
}

export interface Options {
  json?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export async function request(method: string, path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { ...options.headers };
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (options.json !== undefined) headers["Content-Type"] = "application/json";
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: options.json !== undefined ? JSON.stringify(options.json) : options.body,
      credentials: "same-origin",
      signal: options.signal,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new OfflineError();
  }
  if (answer.ok) return answer;
  const body: unknown = await answer.json().catch(() => null);
  if (answer.status === 401 && path !== "/api/login" && path !== "/api/session") onSessionOver();
  throw new ApiError(answer.status, words(body, answer.status), body);
}

export async function call<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const answer = await request(method, path, options);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

export const get = <T>(path: string, signal?: AbortSignal): Promise<T> => call<T>("GET", path, { signal });

/** What a problem says, in the server's own words where it has any. */
export function words(body: unknown, status: number): string {
  const detail = (body as { detail?: unknown } | null)?.detail;
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail)) {
    return detail
      .map((one: { loc?: unknown[]; msg?: string }) => `${(one.loc ?? []).slice(1).join(" ")}: ${one.msg ?? ""}`)
      .join("; ");
  }
  if (detail && typeof (detail as { detail?: unknown }).detail === "string") return (detail as { detail: string }).detail;
  return `The server answered ${status}.`;
}
