document.getElementById("sides").addEventListener("change", event => {
  const side = event.target.value;
  document.querySelectorAll(`[data-side="${side}"]`).forEach(shape => shape.classList.toggle("hidden", !event.target.checked));
});
