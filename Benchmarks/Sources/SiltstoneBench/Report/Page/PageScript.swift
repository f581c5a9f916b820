/// Conveniences only: the page is whole without them. No `<` and no `&`, so that the page stays well-formed XML.
enum PageScript {
  static let text = """

    document.documentElement.classList.add("scripted");

    // One grid of the summary at a time.
    for (const box of document.querySelectorAll(".switched")) {
      const metrics = [...box.querySelectorAll(".metric")];
      if (metrics.length === 1) continue;
      const bar = document.createElement("div");
      bar.className = "buttons";
      const show = chosen => metrics.forEach((metric, index) => {
        metric.classList.toggle("off", index !== chosen);
        bar.children[index].setAttribute("aria-pressed", index === chosen);
      });
      metrics.forEach((metric, index) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = metric.dataset.title;
        button.onclick = () => show(index);
        bar.append(button);
      });
      box.prepend(bar);
      show(0);
    }

    // Linear or logarithmic scales.
    for (const figure of document.querySelectorAll(".scaled")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "scale";
      const name = () => {
        button.textContent = figure.classList.contains("showlog") ? "log scales" : "linear scales";
      };
      button.onclick = () => {
        figure.classList.toggle("showlog");
        figure.classList.toggle("showlin");
        name();
      };
      name();
      figure.querySelector("figcaption").append(button);
    }

    // Paper cannot be unfolded.
    addEventListener("beforeprint", () => {
      for (const details of document.querySelectorAll("details")) details.open = true;
    });

    // Titles at once, beside the pointer.
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    document.body.append(tip);
    for (const title of document.querySelectorAll("svg title")) {
      title.parentNode.dataset.tip = title.textContent;
      title.remove();
    }
    document.addEventListener("pointermove", event => {
      const text = event.target.dataset ? event.target.dataset.tip : undefined;
      tip.hidden = !text;
      if (!text) return;
      tip.textContent = text;
      tip.style.left = Math.min(event.pageX + 12, document.documentElement.clientWidth - tip.offsetWidth - 8) + "px";
      tip.style.top = event.pageY + 16 + "px";
    });

    """
}
