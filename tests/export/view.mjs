// Loads a binary glTF file with three.js in a browser without a window, and saves what it shows.
//
// node view.mjs FILE PICTURE [SHAPE=WEIGHT ...]; CHROMIUM names the browser if it is not called `chromium`.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";

const SIDE = 512;
const PATIENCE_MS = 180_000;
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".glb": "model/gltf-binary" };

const [file, picture, ...expression] = process.argv.slice(2);
const weights = Object.fromEntries(expression.map((pair) => pair.split("=")).map(([name, weight]) => [name, Number(weight)]));
const here = import.meta.dirname;

let finish;
const finished = new Promise((resolve) => (finish = resolve));

async function content(path) {
    if (path === "/") return [".html", await readFile(join(here, "view.html"))];
    if (path === "/avatar.glb") return [".glb", await readFile(file)];
    if (path === "/settings") return [".json", JSON.stringify({ side: SIDE, weights })];
    if (path.startsWith("/three/")) {
        return [extname(path), await readFile(join(here, "node_modules", normalize(path)))];
    }
    throw new Error(`nothing is known of ${path}`);
}

const server = createServer(async (request, response) => {
    try {
        if (request.method === "POST") {
            const chunks = [];
            for await (const chunk of request) chunks.push(chunk);
            response.end();
            finish(JSON.parse(Buffer.concat(chunks).toString()));
            return;
        }
        const [type, body] = await content(request.url);
        response.writeHead(200, { "content-type": TYPES[type] ?? "application/json" }).end(body);
    } catch (error) {
        response.writeHead(404).end(String(error));
    }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const profile = await mkdtemp(join(tmpdir(), "view-"));
const browser = spawn(
    process.env.CHROMIUM ?? "chromium",
    [
        "--headless=new",
        "--no-sandbox",
        "--no-first-run",
        "--disable-dev-shm-usage",
        "--use-gl=angle",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        `--user-data-dir=${profile}`,
        `http://127.0.0.1:${server.address().port}/`,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
);
let log = "";
browser.stderr.on("data", (text) => (log += text));
const ended = new Promise((resolve) => browser.once("exit", resolve));
browser.once("error", (error) => finish({ error: String(error) }));
browser.once("exit", (code) => finish({ error: `the browser ended with ${code}\n${log}` }));
const patience = setTimeout(() => finish({ error: `nothing was shown in ${PATIENCE_MS / 1000} s\n${log}` }), PATIENCE_MS);

const { error, parts, picture: url } = await finished;
clearTimeout(patience);
browser.kill();
if (browser.pid) await ended;
server.close();
server.closeAllConnections();
await rm(profile, { recursive: true, force: true, maxRetries: 5 });
if (error) {
    console.error(error);
    process.exit(1);
}
await writeFile(picture, Buffer.from(url.split(",")[1], "base64"));
console.log(`${parts} meshes; wrote ${picture}`);
