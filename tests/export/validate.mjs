// Checks a binary glTF file with the validator of the Khronos Group.
//
// node validate.mjs FILE; fails on an error or a warning, and lists what is merely worth knowing.

import { readFile } from "node:fs/promises";

import validator from "gltf-validator";

const KINDS = ["error", "warning", "information", "hint"];

const [file] = process.argv.slice(2);
const report = await validator.validateBytes(new Uint8Array(await readFile(file)), { maxIssues: 0 });

const seen = new Map();
for (const { severity, code, message, pointer } of report.issues.messages) {
    const issue = seen.get(code) ?? { severity, message, pointer, count: 0 };
    seen.set(code, { ...issue, count: issue.count + 1 });
}
for (const [code, { severity, message, pointer, count }] of seen) {
    console.log(`${KINDS[severity]} ${code}, ${count} times: ${message} (first at ${pointer})`);
}
const { totalVertexCount, totalTriangleCount, maxUVs, maxAttributes, extensionsUsed } = report.info;
console.log(
    `${totalVertexCount} vertices, ${totalTriangleCount} triangles, ${maxUVs} texture coordinates, ` +
        `${maxAttributes} attributes at most, extensions: ${extensionsUsed?.join(", ")}`,
);
const { numErrors, numWarnings } = report.issues;
console.log(`${file}: ${numErrors} errors, ${numWarnings} warnings`);
process.exit(numErrors + numWarnings === 0 ? 0 : 1);
