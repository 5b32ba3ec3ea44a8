// What draws the planes: the graphics card, if there is one.

export type Graphics = "asking" | "webgl" | "software" | "none" | "lost";

/** WebGL played by the processor: slower than our own pictures, and a CT is first copied for seconds while the page stands still. */
export const isSoftware = (renderer: string): boolean => /swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer);

/** What this browser has; `?webgl` in the address takes WebGL whoever plays it. */
export function graphicsHere(): Graphics {
  const found = document.createElement("canvas").getContext("webgl2");
  if (!found) return "none";
  const told = found.getExtension("WEBGL_debug_renderer_info");
  const renderer = String(found.getParameter(told ? told.UNMASKED_RENDERER_WEBGL : found.RENDERER));
  found.getExtension("WEBGL_lose_context")?.loseContext();
  const wanted = new URLSearchParams(location.search).has("webgl");
  return isSoftware(renderer) && !wanted ? "software" : "webgl";
}
