// Answers HTTP as Node does it: server.js PORT [HOST], or server.js PORT cluster for two workers
const cluster = require("cluster");
const http = require("http");

const [port, host] = process.argv.slice(2);
const workers = host === "cluster" && cluster.isPrimary ? 2 : 0;
for (let worker = 0; worker < workers; worker++) cluster.fork();
if (workers === 0) {
  const server = http.createServer((request, answer) => answer.end("hello"));
  if (host === undefined || host === "cluster") server.listen(Number(port));
  else server.listen(Number(port), host);
}
