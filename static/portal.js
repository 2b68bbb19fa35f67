// What the portal does better with a script; without it, everything works all the same.
(() => {
  const KEPT = "/citas/guardadas"

  // A strict policy holds, no page stays in storage, going back asks for the page as it is by now,
  // and refusals are shown where they happened.
  Object.assign(htmx.config, {historyCacheSize: 0, refreshOnHistoryMiss: true, allowEval: false, includeIndicatorStyles: false,
    responseHandling: [{code: "204", swap: false}, {code: "...", swap: true}]})

  // A tap without a network says so where it was tapped; nothing on the page is lost.
  const unheard = () => {
    const step = document.getElementById("step")
    document.getElementById("unheard")?.remove()
    step.insertAdjacentHTML("afterbegin", '<p class="alert" id="unheard" role="alert" tabindex="-1"></p>')
    step.firstChild.textContent = UNHEARD[document.documentElement.lang]
    step.firstChild.focus()
  }
  addEventListener("htmx:sendError", unheard)

  // With a step comes a page, seen from its top: the foot is that page's, not what slid there.
  addEventListener("htmx:afterSwap", ({detail}) => {
    if (detail.target?.id == "step") document.querySelector("main").after(document.querySelector(".foot"))
  })

  // Changing the language there leads back to the step that is on the screen.
  addEventListener("htmx:pushedIntoHistory", ({detail}) => {
    document.querySelector(".foot [name=volver]").value = detail.path
  })

  if (!("serviceWorker" in navigator && "caches" in window)) return
  // Leaving the page cuts this off; the next one tries again.
  const work = () => navigator.serviceWorker.register("/sw.js").catch(() => 0)
  // A first visit has the network to itself: the worker comes once the script is here already.
  if (!performance.getEntriesByName(document.currentScript.src)[0]?.transferSize) work()

  const keep = async () => (await caches.open("mine")).add(new Request(KEPT, {cache: "reload"}))
  const kept = async () => await caches.has("mine") && !!await (await caches.open("mine")).match(KEPT)

  // «Citas»: the choice is this device's, so the page is told here whether it was made.
  const offer = async () => {
    const choice = document.getElementById("keep")
    if (!choice || !choice.hidden) return
    if (await kept()) await keep().catch(() => 0)
    const box = choice.querySelector("input")
    box.checked = await kept()
    choice.hidden = false
    box.onchange = async () => {
      box.disabled = true
      if (!box.checked) await caches.delete("mine")
      else box.checked = await keep().then(work).then(() => true, () => false)
      box.disabled = false
    }
  }
  addEventListener("htmx:afterSettle", offer)
  // What was just cancelled or confirmed here is not told otherwise without a network.
  addEventListener("htmx:afterRequest", async ({detail}) => {
    if (detail.requestConfig.verb == "post" && await kept()) await keep().catch(() => 0)
  })
  offer()
})()
