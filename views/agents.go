package views

import "time"

// AgentsCardProps is how agents are connected to a Deployment.
type AgentsCardProps struct {
	Local     bool   // the embedded agent mounts the Deployment; other agents may do the same
	Refusal   string // why the reader may not manage agents; "" for an allowed reader
	Connected AgentsConnected
	Tokens    []AgentTokenRow
	AddURL    string
	NewName   string     // of the token to be made
	Error     string     // why the new token was refused
	Made      *MadeToken // the token made by this request
	Lines     AgentLines
	Now       time.Time
	LiveURL   string
}

// AgentsConnected lists the components that have reported.
type AgentsConnected struct{ Rows []AgentRow }

// AgentRow is a component with an agent.
type AgentRow struct {
	Name    string
	Version string // of the agent; "" if the agent does not say
	Other   bool   // the portal has another version
	Silent  bool
	Seen    Moment
}

// Summary counts the rows: "7 connected, 1 silent, 2 with another version than
// the portal".
func (c AgentsConnected) Summary() string {
	silent, other := 0, 0
	for _, r := range c.Rows {
		switch {
		case r.Silent:
			silent++
		case r.Other:
			other++
		}
	}
	text := Number(len(c.Rows)-silent) + " connected"
	if silent > 0 {
		text += ", " + Number(silent) + " silent"
	}
	if other > 0 {
		text += ", " + Number(other) + " with another version than the portal"
	}
	return text
}

// AgentTokenRow is an agent token in the list.
type AgentTokenRow struct {
	Name, Short, By       string
	CreatedAt, LastUsedAt time.Time
	RevokeURL             string
	UnfitHolders          []string // people without access today who still know the secret
}

// AgentLines are the commands and files to copy where Airflow runs. Each holds
// the token just made, or the word TOKEN in its place.
type AgentLines struct{ Command, Systemd, Compose, Kubernetes string }

// NewAgentLines returns the lines for a portal at an address.
func NewAgentLines(address, token string) AgentLines {
	if token == "" {
		token = "TOKEN"
	}
	return AgentLines{
		Command: "SLIPWAY_TOKEN=" + token + " slipway agent --portal " + address + " \\\n  --component scheduler-0 --dags /opt/airflow/slipway",
		Systemd: "[Unit]\nDescription=Slipway agent\nAfter=network-online.target\n\n[Service]\nUser=airflow\n" +
			"Environment=SLIPWAY_TOKEN=" + token + "\n" +
			"ExecStart=/usr/local/bin/slipway agent --portal " + address + " --component %H --dags /opt/airflow/slipway\n" +
			"Restart=always\n\n[Install]\nWantedBy=multi-user.target\n",
		Compose:    composeLines(address, token),
		Kubernetes: kubernetesLines(address, token),
	}
}

func composeLines(address, token string) string {
	return `services:
  slipway-agent:
    image: slipway # built from Slipway's Dockerfile
    user: "50000:0" # Airflow's user
    command: agent --portal ` + address + ` --component scheduler-0 --dags /dags
    environment:
      SLIPWAY_TOKEN: ` + token + `
    volumes: ["dags:/dags"]
    restart: unless-stopped
  airflow-scheduler: # and the other services of Airflow
    volumes: ["dags:/opt/airflow/slipway:ro"]
volumes:
  dags:
`
}

func kubernetesLines(address, token string) string {
	return `# kubectl create secret generic slipway-agent --from-literal=token=` + token + `
# in the pod template of each component of Airflow:
initContainers:
  - &agent
    name: slipway-first
    image: slipway # built from Slipway's Dockerfile
    args: [agent, --once, --portal=` + address + `, --component=$(POD), --dags=/dags]
    env:
      - name: SLIPWAY_TOKEN
        valueFrom: { secretKeyRef: { name: slipway-agent, key: token } }
      - name: POD
        valueFrom: { fieldRef: { fieldPath: metadata.name } }
    volumeMounts: [{ name: dags, mountPath: /dags }]
  - <<: *agent
    name: slipway-agent
    args: [agent, --ephemeral, --portal=` + address + `, --component=$(POD), --dags=/dags, --health=:8790]
    restartPolicy: Always # a sidecar
    livenessProbe: { httpGet: { path: /healthz, port: 8790 } }
volumes:
  - { name: dags, emptyDir: {} }
# and in the container of Airflow:
#   volumeMounts: [{ name: dags, mountPath: /opt/airflow/slipway, readOnly: true }]
`
}
