import { expect, it } from "vitest";
import { isSoftware } from "./graphics";

it("tells graphics cards from processors that play one", () => {
  for (const card of ["ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 Direct3D11)", "ANGLE (Intel, Mesa Intel(R) UHD Graphics 630)", "Apple M2", "Adreno (TM) 640"]) expect(isSoftware(card)).toBe(false);
  for (const none of ["ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero)))", "llvmpipe (LLVM 15.0.6, 256 bits)", "Microsoft Basic Render Driver", "Software Rasterizer"]) expect(isSoftware(none)).toBe(true);
});
