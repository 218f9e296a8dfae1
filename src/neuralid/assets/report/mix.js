"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const face = document.getElementById("face");
const save = document.getElementById("save");
const sliders = document.getElementById("sliders");
const moves = [];
let way = null;

function addSlider(name, last, start, onInput) {
  const row = document.createElement("div");
  row.className = "slider";
  const label = document.createElement("label");
  const output = document.createElement("output");
  const input = document.createElement("input");
  input.type = "range";
  input.id = `slider-${sliders.children.length}`;
  input.min = 0;
  input.max = last;
  input.value = start;
  label.htmlFor = output.htmlFor = input.id;
  label.textContent = name;
  input.addEventListener("input", onInput);
  row.append(label, output, input);
  sliders.append(row);
  return { input, output };
}

// Shares of the people at a place: between two neighbours on the way.
function shares(place) {
  const steps = (data.faces.length - 1) / (data.people.length - 1);
  const index = Math.min(Math.floor(place / steps), data.people.length - 2);
  const part = Math.round((100 * (place - index * steps)) / steps);
  const both = [[data.people[index].name, 100 - part], [data.people[index + 1].name, part]];
  return both.filter((each) => each[1] > 0).map((each) => `${each[1]}% ${each[0]}`).join(", ");
}

function show() {
  const place = way ? Number(way.input.value) : 0;
  let variant = 0;
  moves.forEach((move, index) => {
    const value = data.values[Number(move.input.value)];
    move.output.textContent = value > 0 ? `+${value}` : String(value);
    if (value !== 0) variant = data.variants[index][String(value)];
  });
  if (way) way.output.textContent = shares(place);
  face.src = save.href = data.faces[place][variant];
}

function putBack(others) {
  const zero = data.values.indexOf(0);
  moves.forEach((move) => { if (!others || move !== others) move.input.value = zero; });
}

document.getElementById("title").textContent = data.people.map((each) => each.name).join(" and ");
data.people.forEach((person, index) => {
  const button = document.createElement("button");
  const image = document.createElement("img");
  const name = document.createElement("span");
  image.src = person.face;
  image.alt = "";
  name.textContent = person.name;
  button.title = data.people.length > 1 ? `Show ${person.name} alone` : "Put the sliders back";
  button.append(image, name);
  button.addEventListener("click", () => {
    if (way) way.input.value = (index * (data.faces.length - 1)) / (data.people.length - 1);
    putBack(null);
    show();
  });
  document.getElementById("people").append(button);
});
if (data.people.length > 1) way = addSlider("Between", data.faces.length - 1, data.start, show);
const told = { age: "age (+ is older)", gender: "gender (+ is female)" };
data.attributes.forEach((name) => {
  const move = addSlider(told[name] || name, data.values.length - 1, data.values.indexOf(0), () => {
    putBack(move);
    show();
  });
  moves.push(move);
});
show();
