package main

import "slipway/internal/slipway"

// password is the password of everybody in the demo.
const password = "a year of deploys"

// person is somebody with an account.
type person struct {
	name, email string
	role        slipway.Role
}

// people are the members of the Workspace; the first is the administrator. Two
// have names of a length that pages must bear.
var people = []person{
	{"Ines Okonkwo", "ines@example.com", slipway.Owner},
	{"Maximilian-Alexander von Hohenberg-Wartenstein", "maximilian-alexander.von.hohenberg-wartenstein@data.example.com", slipway.Owner},
	{"Jun Park", "jun@example.com", slipway.Operator},
	{"Srinivasa Raghavan Venkataramanan Iyer", "srinivasa.raghavan.venkataramanan@analytics.example.com", slipway.Author},
	{"Léa Fournier", "lea@example.com", slipway.Author},
	{"Tom Bakker", "tom@example.com", slipway.Author},
	{"Agnes Nwosu", "agnes@example.com", slipway.Member},
}
