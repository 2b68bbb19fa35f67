// Keeps what is needed to say that there is no network and, for who chose so on this device, when
// and where the next sessions are. Pages are never kept: they are other people's business too.
const OFFLINE = "/sin-conexion", KEPT = "/citas/guardadas"
const SHELL = `shell-${FILES.join()}`

const leave = () => caches.delete("mine")

addEventListener("install", event => event.waitUntil(
  caches.open(SHELL).then(cache => cache.addAll([...FILES, OFFLINE])).then(() => skipWaiting())))

addEventListener("activate", event => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (![SHELL, "mine"].includes(name)) await caches.delete(name)
  await clients.claim()
})()))

addEventListener("fetch", event => {
  const {request} = event, {origin, pathname} = new URL(request.url)
  if (origin != location.origin) return
  if (request.method == "POST" && pathname == "/salir") event.waitUntil(leave())
  if (FILES.includes(pathname)) event.respondWith(caches.match(pathname).then(found => found || fetch(request)))
  else if (request.mode == "navigate") event.respondWith(visit(request))
})

// Whoever is sent to the door is not signed in any more.
const visit = async request => {
  try {
    const answer = await fetch(request)
    if (answer.url && new URL(answer.url).pathname.startsWith("/entrar")) await leave()
    return answer
  } catch {
    return offline(request)
  }
}

const plain = text => text.replace(/[&<>"]/g, sign => `&#${sign.charCodeAt()};`)

const offline = async request => {
  const shell = await caches.match(OFFLINE), page = await shell.text(), told = await caches.match(KEPT)
  const all = told ? await told.json() : [], next = all.filter(each => each.until > Date.now())
  if (all.length && !next.length) await leave()
  const items = next.map(each => `<li><p><strong>${plain(each.when)}</strong><br>${plain(each.place)}</p></li>`)
  const filled = items.length
    ? page.replace("<!--kept-->", items.join("")).replace(/(id="kept") hidden/, "$1") : page
  // A form is not sent again by a link.
  const retry = request.method == "GET" ? filled : filled.replace('href=""', 'href="/"')
  const headers = Object.fromEntries(["Content-Type", "Content-Security-Policy"].map(name => [name, shell.headers.get(name)]))
  return new Response(retry, {status: 503, headers})
}
