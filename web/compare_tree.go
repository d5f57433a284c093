package web

// listedFiles is how many changed files a tree names; of the others it says
// how many there are, folder by folder.
const listedFiles = 300
